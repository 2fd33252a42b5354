#pragma once

#include "compose/load/interpolate.hpp"
#include "compose/load/node.hpp"

#include <vector>

namespace compose {

/// Folds the files of each service into its environment and labels, and fills in what is passed through.
/// Requires: paths are absolute.
void resolve_environment(node& tree, const variable_lookup& lookup, std::vector<diagnostic>& wrong);

} // namespace compose
