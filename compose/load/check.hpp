#pragma once

#include "compose/load/diagnostic.hpp"
#include "compose/model/project.hpp"

#include <functional>
#include <vector>

namespace compose {

struct node;

/// Where a path of the project ("services.web.depends_on") stands in its files.
using place_lookup = std::function<position(const std::string& path)>;

/// What only the whole can show: names that are not declared, dependencies that are missing or go round in a
/// circle, names and targets given twice, values that contradict one another.
void check_consistency(const project& of, const place_lookup& place, std::vector<diagnostic>& wrong);

/// Whether it is an IPv4 or IPv6 address.
bool is_address(const std::string& text);

/// Whether a container can have the name: Docker's rule.
bool is_container_name(const std::string& name);

/// Takes what is wrong with a key of a service.
using report_fault = std::function<void(const std::string& key, const std::string& message)>;

/// Limits, devices, namespaces and security of a service that contradict one another, or that no host has.
void check_limits(const service& of, const report_fault& fail, const report_fault& warn);

/// Hooks without a command, times and switches that mean nothing, keys of x-composed that there are none of.
void check_life_cycle(const service& of, const report_fault& fail);
void check_own_keys_of_project(const project& of, const report_fault& fail);

/// Values of update_config and rollback_config that mean nothing.
void check_update(const service& of, const report_fault& fail);

/// What runs by a schedule (x-composed) and what depends on such.
void check_schedule(const project& in, const service& of, const report_fault& fail);

/// How a service is on its networks, what it publishes and how it asks for names.
void check_network_use(
    const project& in, const service& of, const report_fault& fail, const report_fault& warn);

/// `ipam` of a network; keys are below it.
void check_pools(const network& of, const report_fault& fail);

/// Where mounts, secrets and configs of a service go, and with what options.
void check_mount_use(const service& of, const report_fault& fail, const report_fault& warn);

/// What a mount says that is for one of another type, and a project does not carry.
void check_mount_members(const node& tree, std::vector<diagnostic>& told);

/// What the language allows and this engine cannot do, and (diagnostic::warning) what has no effect.
void check_supported(const project& of, const place_lookup& place, std::vector<diagnostic>& told);

} // namespace compose
