#include "compose/model/units.hpp"

#include <cstdlib>

/// What is printed reads back as the same.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (const auto read = compose::parse_duration({reinterpret_cast<const char*>(data), size}))
        if (compose::parse_duration(compose::format_duration(*read)) != read)
            std::abort();
    return 0;
}
