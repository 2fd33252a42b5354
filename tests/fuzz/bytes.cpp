#include "compose/model/units.hpp"

#include <cstdlib>

/// What is printed reads back as the same, and numbers are what they look like.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto read = compose::parse_bytes(text))
        if (compose::parse_bytes(std::to_string(*read)) != read)
            std::abort();
    if (const auto read = compose::parse_integer(text))
        if (compose::number_form_of(text) == compose::number_form::fraction)
            std::abort();
    compose::plain_scalar_text(text);
    compose::parse_bool(text);
    return 0;
}
