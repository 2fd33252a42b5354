#pragma once

#include "compose/load/node.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace compose {

/// Caps on what a file may ask of us (the billion laughs and its kin).
struct yaml_limits {
    std::size_t bytes = 4U << 20U;
    std::size_t depth = 64;
    std::size_t nodes = 1'000'000; // after aliases are written out
};

/// The documents of a YAML text. Aliases and `<<` are written out. Throws load_error for bad YAML, duplicate
/// keys, keys that are no strings, unknown tags and what exceeds the limits.
std::vector<node> parse_yaml(std::string_view text, const std::string& file, const yaml_limits& limits = {});

} // namespace compose
