#pragma once

#include "engine/container/container_runtime.hpp"
#include "engine/container/host_abilities.hpp"
#include "engine/container/seccomp.hpp"
#include "engine/system/cgroup.hpp"

#include <filesystem>
#include <string>

namespace engine {

/// What is found out once about the host. Read by workers, never changed.
struct runtime_host {
    runtime_host(runtime_options given);

    std::filesystem::path run_folder(const std::string& id) const { return options.run / "container" / id; }
    std::filesystem::path state_folder(const std::string& id) const {
        return options.state / "container" / id;
    }
    std::filesystem::path oci_root() const { return options.run / "oci"; }
    /// Below the root of every hierarchy; as the run folder says where it is not the instance's.
    std::string cgroup_path(const std::string& id) const;
    container_cgroup cgroup(const std::string& id) const;
    container_cgroup instance_cgroup() const; // parent of all

    /// The program that runs it: the service's own, as the run folder says, or `oci_runtime`.
    std::filesystem::path runtime_of(const std::string& id) const;

    runtime_options options;
    std::filesystem::path oci_runtime;
    host_abilities abilities;
    seccomp_profiles seccomp;
};

/// The OCI runtime's program: the one that is asked for, by path or name, or crun, or runc. Throws
/// error{unavailable} when it is not there.
std::filesystem::path find_runtime(const std::filesystem::path& wanted);

bool is_crun(const std::filesystem::path& runtime);

/// The OCI runtime comes through the folder to the root as the container's own root, whom the host knows by
/// that group alone.
void let_pass(const std::filesystem::path& folder, const std::optional<user_id_range>& ids);

} // namespace engine
