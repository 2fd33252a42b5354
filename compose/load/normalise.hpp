#pragma once

#include "compose/load/decode.hpp"

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace compose {

/// Fills in what the files leave open, and checks what only the whole can show: names of networks and
/// volumes, the network `default`, absolute paths, undeclared names, dependencies that are missing or go
/// round in a circle. Requires: the project has its name.
void normalise(decoded& tree, const std::filesystem::path& directory, const std::string& home,
    std::vector<diagnostic>& wrong);

/// Sets apart the services whose profiles are all off, and takes out the networks and volumes that only they
/// use. `named` services are on by their name.
void select_profiles(project& of, const std::set<std::string>& active, const std::set<std::string>& named);

} // namespace compose
