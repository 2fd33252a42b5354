#include "compose/load/interpolate.hpp"
#include "compose/model/error.hpp"

#include <cstdlib>

/// With no variable set, a text without `$` stays as it is.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    std::vector<std::string> unset;
    const compose::variable_lookup lookup = [](const std::string& name) -> std::optional<std::string> {
        return name == "SET" ? std::optional<std::string>("value") : std::nullopt;
    };
    try {
        const std::string result = compose::interpolate(text, lookup, unset);
        if (text.find('$') == std::string::npos && result != text)
            std::abort();
    } catch (const compose::error&) {
    }
    compose::node scalar;
    scalar.kind = compose::node_kind::scalar;
    scalar.text = text;
    compose::variables_in(scalar);
    return 0;
}
