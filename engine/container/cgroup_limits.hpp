#pragma once

#include "compose/model/limits.hpp"
#include "engine/system/cgroup.hpp"

#include <string>
#include <vector>

namespace engine {

/// One file of a cgroup that is to be written.
struct cgroup_write {
    std::string controller; // its hierarchy on v1
    std::string file;
    std::string value;
    std::string key; // of Compose, for messages

    bool operator==(const cgroup_write&) const = default;
};

/// What makes the limits of a running container those of `after`, in the order in which the kernel takes
/// them: on v1 the limit of memory never exceeds that of memory with swap. An empty value stands for that of
/// the cgroup above. Pure.
std::vector<cgroup_write> changes_of_limits(
    const compose::limits& before, const compose::limits& after, cgroup_mode cgroups);

/// Writes them. Throws error{conflict} naming key and value where the kernel refuses: what is in use already
/// is more than the new limit. Blocks.
void write_limits(const container_cgroup& cgroup, const std::vector<cgroup_write>& changes);

} // namespace engine
