#pragma once

#include "compose/load/paths.hpp"

#include <set>
#include <string>

namespace compose {

/// Fills in what a member that is left out means wherever it may stand: targets of secrets, where to build,
/// that a dependency is required. Requires: the tree is merged and has its long form, as for all that follow.
void fill_defaults(node& tree, const project_place& place);

/// Where to build of the services of an included project, whose folder is its own.
void default_contexts(node& tree, const project_place& place);

/// Fills in what follows from the whole of a project: its name, those of resources, the network `default`,
/// what links and shared namespaces depend on.
void fill(node& tree, const std::string& project_name);

/// A service's `scale` is the number of replicas that its `deploy` does not tell.
void copy_scale(node& tree);

/// Gives the project a name, whatever it has for one.
void set_name(node& tree, const std::string& project_name);

/// What has no short form once its variables are filled in: lists of hosts and SSH agents, networks and
/// volumes of which nothing is said, empty options of logging and storage.
void write_whole(node& tree);

/// Where variables stay: arguments of builds that are passed through are not there.
void drop_passed_arguments(node& tree);

/// Takes the services whose profiles are all off out of the tree and gives them as a map of their own.
/// `named` ones are on by their name.
node take_disabled(node& tree, const std::set<std::string>& active, const std::set<std::string>& named);

/// Takes out the networks, volumes, configs and secrets that no service uses.
void prune(node& tree);

} // namespace compose
