#pragma once

#include "compose/model/project.hpp"

#include <string>
#include <string_view>

namespace compose {

/// The project as JSON without loss: what the API carries and the store keeps. Members with their default
/// value are left out, so a release that adds members reads what an earlier one wrote and gives it the same
/// hash.
std::string to_wire(const project& value);

/// The inverse. Throws error{invalid} for what is no such JSON, unknown members included, and above 64
/// levels.
project from_wire(std::string_view text);

/// SHA-256 over what makes a service's containers what they are: equal hashes mean that there is nothing to
/// recreate. Left out is what only says how many there are and when: scale, depends_on, profiles,
/// pull_policy.
std::string service_hash(const service& value);

} // namespace compose
