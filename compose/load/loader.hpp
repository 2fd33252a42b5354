#pragma once

#include "compose/load/diagnostic.hpp"
#include "compose/model/project.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace compose {

struct node;

/// What `config` can be asked to leave out.
struct load_steps {
    bool interpolate = true;
    bool normalise = true; // defaults and names filled in
    bool paths = true;     // made absolute
    bool consistency = true;
    bool environment = true; // of services, from the files that they name
};

/// What a person said on the command line, and where they stood.
struct load_options {
    std::vector<std::string> files;    // -f; "-" is `standard_input`. Empty: COMPOSE_FILE, or looked for from
                                       // the working directory up
    std::string project_directory;     // --project-directory
    std::string project_name;          // -p
    std::vector<std::string> profiles; // --profile
    std::vector<std::string> env_files;             // --env-file
    std::map<std::string, std::string> environment; // of the process
    std::filesystem::path working_directory;        // of the process, absolute
    std::function<std::string()> standard_input;    // asked for where a file is "-"
    std::vector<std::string> services;              // named on the command line: their own profiles are on
    load_steps steps;
    bool all_resources = false; // --all-resources: those that no service uses too
};

struct loaded {
    compose::project project;         // without interpolation: names and images alone
    std::shared_ptr<const node> tree; // all that the files say, in the form that `config` prints (render.hpp)
    std::vector<std::string> ignored; // paths of what nothing acts on yet
    std::vector<std::string> warnings;
    std::map<std::string, std::string> variables; // that held
};

/// Reads the files of a project and says what they mean. Throws load_error for what is wrong with them,
/// error{not_found} when there are none.
loaded load(const load_options& options);

/// Takes out of `tree` the services that are neither among `services` nor what these depend on, and what only
/// they use unless it is to be `all_resources`: the part of a project that `config SERVICE` shows.
node part_of(const node& tree, const std::vector<std::string>& services, bool all_resources = false);

/// A project from one YAML text, as the API takes it: variables have no values but their defaults, and no
/// file of this host is read. Throws load_error; `warnings` gets those of load() and check_supported().
project load_text(
    std::string_view text, const std::string& name, std::vector<std::string>* warnings = nullptr);

/// What was read in its wire form and not by load() must hold all the same: a name, images, declared networks
/// and volumes, dependencies without a circle. Fills in what may be left out. Throws load_error.
void check_project(project& of);

/// What the files say and this engine cannot do, at its place in them, as the daemon would refuse it without.
/// Throws load_error; gives warnings of what has no effect.
std::vector<std::string> check_supported(const loaded& read);

/// The project's name, for commands that need no file: -p, COMPOSE_PROJECT_NAME, or nothing when only a file
/// can tell.
std::optional<std::string> project_name_without_file(const load_options& options);

} // namespace compose
