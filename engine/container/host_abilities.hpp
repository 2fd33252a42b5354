#pragma once

#include "engine/container/launch.hpp"
#include "engine/system/cgroup.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace engine {

/// What this host can do of what a container may ask: by its cgroups, its security modules and the daemon's
/// own rights. Read once.
struct host_abilities {
    cgroup_mode cgroups = cgroup_mode::unified;
    unsigned cpus = 1;
    bool swap_limit = true;        // memory and swap together
    bool swappiness = false;       // v1
    bool oom_kill_disable = false; // v1
    bool realtime = false;         // v1, CONFIG_RT_GROUP_SCHED, and our own cgroup has a budget
    bool io_weight = true;         // with the BFQ scheduler or io.cost; v1: with CFQ
    bool io_rates = true;
    bool apparmor = false;
    bool selinux = false;
    bool can_raise_limits = true;    // CAP_SYS_RESOURCE
    bool own_users = false;          // containers have user namespaces (userns_remap)
    bool domain_of_own_users = true; // the OCI runtime gives these a domain name (crun, runc from 1.2 on)
    std::int64_t most_open_files = 1 << 20; // fs.nr_open, above which no limit can be
    int lowest_oom_score_adj = -1000;       // without it, the daemon's own value
    /// The daemon's own hard limit by name ("nofile"), -1: unlimited. Throws error{invalid} for no name.
    std::function<std::int64_t(const std::string& name)> hard_limit;
};

host_abilities look_at_host(cgroup_mode cgroups);

/// Takes out of `spec` what the host cannot do, and tells what has no effect, or less than is asked: one line
/// each, by the keys of Compose. Throws error{invalid} for a cpuset that the host does not have.
std::vector<std::string> fit_to_host(container_spec& spec, const host_abilities& host);

} // namespace engine
