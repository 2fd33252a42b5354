#include "compose/load/short_syntax.hpp"
#include "compose/model/error.hpp"

#include <cstdlib>

/// A port is one.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    try {
        for (const compose::port& each : compose::parse_port({reinterpret_cast<const char*>(data), size}))
            if (each.target == 0)
                std::abort();
    } catch (const compose::error&) {
    }
    return 0;
}
