#pragma once

#include "compose/load/node.hpp"

#include <vector>

namespace compose {

/// What must hold of a whole tree before anything is filled in: names, one source of each config and secret.
void check_tree(const node& tree, std::vector<diagnostic>& wrong);

/// What must hold of the services that are on: an image or a build, limits that agree, configs, secrets and
/// models that are declared.
void check_references(const node& tree, std::vector<diagnostic>& wrong);

} // namespace compose
