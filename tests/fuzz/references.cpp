#include "engine/image/reference.hpp"

#include "compose/model/error.hpp"

#include <cstdlib>

/// The whole form and the short one of a name mean the same.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    try {
        const engine::reference read = engine::parse_reference({reinterpret_cast<const char*>(data), size});
        if (!(engine::parse_reference(read.name()) == read) ||
            !(engine::parse_reference(read.short_name()) == read))
            std::abort();
        if (read.repository.find("..") != std::string::npos)
            std::abort();
    } catch (const compose::error&) {
    }
    return 0;
}
