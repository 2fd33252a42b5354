#pragma once

#include "engine/container/launch.hpp"
#include "engine/container/user.hpp"
#include "engine/container/user_ids.hpp"
#include "engine/system/cgroup.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace boost::json {
class value;
} // namespace boost::json

namespace engine {

/// A device node to make in the container, read from the host's.
struct device_node {
    std::string path; // in the container
    char type = 'c';
    std::int64_t major = 0;
    std::int64_t minor = 0;
    std::uint32_t mode = 0; // permission bits
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::string permissions = "rwm";

    bool operator==(const device_node&) const = default;
};

/// What the host and the runtime decide about a container, beside its container_spec.
struct oci_host {
    std::string root = "rootfs"; // relative to the bundle
    std::string cgroup;          // path below the hierarchies, e.g. "/composed/ID"
    cgroup_mode cgroups = cgroup_mode::unified;
    std::string network_namespace; // path; empty: the host's
    std::string pid_namespace;     // path of another container's; empty: its own, or the host's
    std::string ipc_namespace;     // likewise
    std::string user_namespace;    // likewise; it has the ids of `user_ids`
    user_id_range user_ids;
    std::string shared_memory; // what is bound as /dev/shm; empty: a tmpfs of its own
    std::uint16_t rows = 0;    // of the first terminal; 0: the kernel's default
    std::uint16_t columns = 0;
    bool own_network = true;                     // sysctls of the namespace may be set
    std::string init_program;                    // for container_spec::init
    std::string hosts;                           // file to bind over /etc/hosts; empty: none
    std::string resolv_conf;                     // likewise
    std::string hostname;                        // likewise
    const boost::json::value* seccomp = nullptr; // OCI object; null: none
    std::string compiled_seccomp;     // base64, for crun: what `seccomp` compiles to; empty: not known
    std::vector<device_node> devices; // those of container_spec::devices, or all when privileged
    /// Major and minor number by the paths in container_spec::block_io.
    std::map<std::string, std::pair<std::int64_t, std::int64_t>> block_devices;
};

/// The OCI config.json (runtime specification 1.0.2) of a container. Pure: same values, same bytes. Throws
/// error{invalid} for what cannot be expressed (unknown capability, relative path, working directory below
/// /proc).
std::string render_oci_config(const container_spec& spec, const resolved_user& user, const oci_host& host);

/// The OCI process object of an exec, as `crun exec --process` takes it: `config` is the container's
/// config.json. Throws error{invalid}.
struct exec_process {
    std::vector<std::string> args;
    std::vector<std::string> env;
    std::string cwd;
    bool tty = false;
    bool privileged = false;
    std::uint16_t rows = 0;
    std::uint16_t columns = 0;
    const resolved_user* user = nullptr; // null: the container's
};
std::string render_exec_process(const boost::json::value& config, const exec_process& process);

/// Sorts so that every mount comes after those it lies below; equal depth keeps its order.
void sort_mounts(std::vector<container_mount>& mounts);

/// Sets NAME=VALUE entries of `more` over those of `env` with the same name.
void override_environment(std::vector<std::string>& env, const std::vector<std::string>& more);

} // namespace engine
