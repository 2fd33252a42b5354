#pragma once

#include "compose/load/interpolate.hpp"
#include "compose/load/node.hpp"

#include <filesystem>
#include <vector>

namespace compose {

/// Variables without a value of services of an included project get that of its surroundings: those of the
/// whole do not know it any more.
void pass_through_included(node& tree, const variable_lookup& lookup);

/// Folds the files of each service into its labels and, with `files`, into its environment, and fills in what
/// is passed through. Paths that are relative still are below `directory`. Names in the files that are not
/// set are added to `unset`.
void resolve_environment(node& tree, const std::filesystem::path& directory, const variable_lookup& lookup,
    bool files, std::vector<std::string>& unset, std::vector<diagnostic>& wrong);

/// The same of the arguments of builds; those that are not set are not there.
void pass_arguments(node& tree, const variable_lookup& lookup);

} // namespace compose
