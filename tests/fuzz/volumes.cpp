#include "compose/load/short_syntax.hpp"
#include "compose/model/error.hpp"

#include <cstdlib>

/// A bind has a source.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const compose::mount read = compose::parse_mount(text);
        if (read.type == compose::mount_type::bind && read.source.empty())
            std::abort();
    } catch (const compose::error&) {
    }
    try {
        compose::split_command(text);
        compose::parse_restart(text);
    } catch (const compose::error&) {
    }
    return 0;
}
