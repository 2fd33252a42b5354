#pragma once

#include "compose/model/error.hpp"
#include "engine/container/container_runtime.hpp"
#include "engine/container/host_abilities.hpp"
#include "engine/container/launch.hpp"
#include "engine/container/oci_spec.hpp"
#include "engine/container/seccomp.hpp"
#include "engine/system/cgroup.hpp"
#include "engine/system/child_process.hpp"
#include "engine/system/fd.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

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

std::vector<std::string> capabilities_of(const container_spec& spec);

bool is_crun(const std::filesystem::path& runtime);

/// Whether a run of it leaves a compiled system call filter that later runs can be given.
bool learns_seccomp(const runtime_host& host, const launch& what);

/// A shim that was started and told about its container: its answer network_ready or failed will come on
/// `socket`.
struct prepared_run {
    child_process shim;
    unique_fd socket;
};

/// Makes RUN/container/ID and what is missing of STATE/container/ID, starts the shim, and writes config.json
/// while the shim makes its namespace. Blocks. Throws error; then nothing is left in RUN and no shim runs.
prepared_run prepare_run(const runtime_host& host, const launch& given);

/// Ends what a run may have left: processes by cgroup, the OCI runtime's record, cgroups, RUN/container/ID.
/// Blocks. Every part may be gone already. Throws error{conflict} when processes are stuck in the kernel.
void clear_run(const runtime_host& host, const std::string& id);

/// The exit record in RUN/container/ID, if the shim came to write one.
std::optional<exit_record> read_exit_record(const runtime_host& host, const std::string& id);

/// What the shim wrote down when the process ran; nothing when it did not come so far.
std::optional<start_record> read_start_record(const runtime_host& host, const std::string& id);

/// Why the OCI runtime failed, by its log file (JSON lines): error with a kind by which exit codes 126 and
/// 127 are told apart. `what` begins the message.
compose::error runtime_failure(
    const std::filesystem::path& log, const std::string& what, std::int64_t exit_code);

} // namespace engine
