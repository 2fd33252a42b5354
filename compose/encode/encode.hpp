#pragma once

#include "compose/model/project.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace compose {

/// The project as JSON without loss: what the API carries and the store keeps. Members with their default
/// value are left out, so a release that adds members reads what an earlier one wrote and gives it the same
/// hash.
std::string to_wire(const project& value);

/// The inverse. Throws error{invalid} for what is no such JSON, unknown members included, and above 64
/// levels.
project from_wire(std::string_view text);

/// SHA-256 over what makes a service's containers what they are: equal hashes mean that there is nothing to
/// recreate. Left out is what only says how many there are and when (scale, depends_on, profiles,
/// pull_policy), and what changes while they run (limits).
std::string service_hash(const service& value);

/// What tells the containers of two definitions of a service apart, for people: "image",
/// "environment LOG_LEVEL", "ports". Nothing when their hashes are equal. Never a value: it may be secret.
std::vector<std::string> container_changes(const service& before, const service& after);

/// The keys of the limits that differ: "mem_limit".
std::vector<std::string> limit_changes(const limits& before, const limits& after);

/// One thing that two definitions of a project do not have in common.
struct project_difference {
    std::string kind; // service, network, volume, secret, config, project
    std::string name;
    std::string change;               // added, removed, changed
    std::vector<std::string> details; // of a changed one, as container_changes()
};

/// What leads from one definition to the other, in order of kinds and names.
std::vector<project_difference> differences(const project& before, const project& after);

} // namespace compose
