#pragma once

#include "compose/load/node.hpp"

#include <string>

namespace compose {

/// A filled tree in the canonical form of `docker compose config`: what it prints with --format json, and
/// without.
std::string to_json(const node& tree);
std::string to_yaml(const node& tree);

/// The same of one whose variables were left as they are written.
std::string to_raw_json(const node& tree);
std::string to_raw_yaml(const node& tree);

} // namespace compose
