#pragma once

#include "compose/load/loader.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace compose {

/// Which files make a project, and the variables that hold for them.
struct project_files {
    std::vector<std::filesystem::path> files;     // absolute; "-" for standard input
    std::filesystem::path directory;              // of the project, absolute
    std::map<std::string, std::string> variables; // the process's own over .env or --env-file
    std::vector<std::string> warnings;
};

/// Finds them: -f, COMPOSE_FILE, or compose.yaml, compose.yml, docker-compose.yml, docker-compose.yaml with
/// its override in the working directory or the nearest one above. Throws error{not_found} when there is
/// none.
project_files find_project_files(const load_options& options);

/// The parts of COMPOSE_FILE, COMPOSE_PROFILES: "a,,b" has an empty one; an empty text has none.
std::vector<std::string> split_names(std::string_view text, std::string_view separator);

/// The text of a file. Throws load_error naming it.
std::string read_project_file(const std::filesystem::path& file);

/// "My Shop!" becomes "myshop": lower case, only letters, digits, _ and -, none of these two in front.
std::string normalise_project_name(std::string_view name);

/// Throws error{invalid} with the rule for a name that breaks it.
void check_project_name(const std::string& name);

} // namespace compose
