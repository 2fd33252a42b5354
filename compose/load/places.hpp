#pragma once

#include "compose/load/check.hpp"
#include "compose/load/node.hpp"

#include <vector>

namespace compose {

/// Where paths of `tree`, which must outlive it, stand: at the node that a path leads to, or at the nearest
/// one above that there is.
place_lookup places_in(const node& tree);

/// Paths of `tree` become those of the file at the place that is told: "depends_on.db" is "depends_on[0]"
/// there, and the third port of all files may be the first of its own.
void name_as_written(const node& tree, std::vector<diagnostic>& told);

} // namespace compose
