#pragma once

#include "compose/load/loader.hpp"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace compose {

/// A service that is no container: a program of the person's machine provides it (`provider`).
struct provider {
    std::string service;
    std::string type; // names the program
    std::vector<std::pair<std::string, std::vector<std::string>>> options;
    std::set<std::string> dependents; // services that get its variables
};

/// Takes the services with a provider out of the project, with what depends on them no longer doing so. Gives
/// those of `services` (all when empty), with `dependencies` also those that these depend on; each after what
/// it depends on.
std::vector<provider> take_providers(
    loaded& read, const std::vector<std::string>& services, bool dependencies = true);

/// Throws load_error for a project with a provider: where nobody runs its program.
void refuse_providers(const loaded& read);

} // namespace compose
