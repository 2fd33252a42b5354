#pragma once

#include "compose/load/node.hpp"
#include "compose/model/project.hpp"

#include <string>
#include <vector>

namespace compose {

/// The values of a filled tree that the engine acts on. Its names and paths are the project's.
/// `ignored` gets the paths of what is in the tree and nothing acts on yet.
project decode(const node& tree, const node& disabled, std::vector<std::string>& ignored);

/// A YAML value as JSON text: what x-* keys are kept as.
std::string json_of(const node& from);

} // namespace compose
