#pragma once

#include "compose/load/node.hpp"

#include <filesystem>
#include <string>

namespace compose {

/// What the relative paths of a file are resolved against.
struct project_place {
    std::filesystem::path directory; // absolute
    std::string home;                // of the user: what ~ stands for
};

/// Makes the paths of a tree in its long form absolute; those that are stay as they are.
void resolve_paths(node& tree, const project_place& place);

/// The same of one service.
void resolve_service_paths(node& service, const project_place& place);

/// A path, cleaned, against `place`.
std::string absolute_path(const std::string& path, const project_place& place);

} // namespace compose
