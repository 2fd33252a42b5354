#include "compose/load/dotenv.hpp"
#include "compose/model/error.hpp"

#include <cstdlib>

/// Every name that is read has a character.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const compose::variable_lookup none = [](const std::string&) { return std::optional<std::string>(); };
    for (const bool raw : {false, true})
        try {
            for (const auto& [name, value] :
                raw ? compose::parse_dotenv_raw(text, "fuzz") : compose::parse_dotenv(text, "fuzz", none))
                if (name.empty())
                    std::abort();
        } catch (const compose::error&) {
        }
    return 0;
}
