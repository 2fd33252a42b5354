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
/// lines, then those of `earlier` files; names that are none of these are added to `unset`. Throws load_error
/// with all lines that are wrong, each at its place.
dotenv_entries parse_dotenv(std::string_view text, const std::string& file, const variable_lookup& lookup,
    const variable_lookup& earlier = {}, std::vector<std::string>* unset = nullptr);

/// `format: raw`: NAME=VALUE lines as they are, no quotes, no expansion, no comments at the end of a line.
/// Throws like parse_dotenv().
dotenv_entries parse_dotenv_raw(std::string_view text, const std::string& file);

} // namespace compose
