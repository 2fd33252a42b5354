#pragma once

#include "compose/load/interpolate.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace compose {

/// A name without '=' has no value: it is taken from the surroundings, if it is there.
using dotenv_entries = std::vector<std::pair<std::string, std::optional<std::string>>>;

/// The variables of an env file in its order. Values expand variables: those of `lookup` first, then earlier
/// lines, then those of `earlier` files. Throws error{invalid} "FILE: line N: …".
dotenv_entries parse_dotenv(std::string_view text, const std::string& file, const variable_lookup& lookup,
    const variable_lookup& earlier = {});

/// `format: raw`: NAME=VALUE lines as they are, no quotes, no expansion, no comments at the end of a line.
dotenv_entries parse_dotenv_raw(std::string_view text, const std::string& file);

} // namespace compose
