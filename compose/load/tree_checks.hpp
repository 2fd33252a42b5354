#pragma once

#include "compose/load/node.hpp"

#include <vector>

namespace compose {

/// What must hold of a whole tree before anything is filled in: names, an image or a build, one source of
/// each config and secret.
void check_tree(const node& tree, std::vector<diagnostic>& wrong);

/// Names of configs, secrets and models that services use and nothing declares.
void check_references(const node& tree, std::vector<diagnostic>& wrong);

} // namespace compose
