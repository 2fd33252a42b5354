#pragma once

#include "compose/load/interpolate.hpp"
#include "compose/load/node.hpp"

#include <filesystem>
#include <vector>

namespace compose {

/// Folds the files of each service into its environment and labels, and fills in what is passed through.
/// Paths that are relative still are below `directory`.
void resolve_environment(node& tree, const std::filesystem::path& directory, const variable_lookup& lookup,
    std::vector<diagnostic>& wrong);

} // namespace compose
