#pragma once

#include "compose/load/paths.hpp"

#include <set>
#include <string>

namespace compose {

/// Fills in what the files of a project leave open, in its merged tree: names of resources, the network
/// `default`, what links and shared namespaces depend on, targets of secrets, where to build. Requires: the
/// tree has its long form.
void fill(node& tree, const std::string& project_name, const project_place& place);

/// The name, and what only looks different: lists of hosts.
void fill_name(node& tree, const std::string& project_name);

/// Where variables stay: arguments of builds that are passed through are not there.
void drop_passed_arguments(node& tree);

/// Takes the services whose profiles are all off out of the tree and gives them as a map of their own.
/// `named` ones are on by their name.
node take_disabled(node& tree, const std::set<std::string>& active, const std::set<std::string>& named);

/// Takes out the networks, volumes, configs and secrets that no service uses.
void prune(node& tree);

} // namespace compose
