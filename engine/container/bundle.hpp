#pragma once

#include "compose/model/error.hpp"
#include "engine/container/container_runtime.hpp"
#include "engine/container/launch.hpp"
#include "engine/container/oci_spec.hpp"
#include "engine/container/runtime_host.hpp"
#include "engine/system/child_process.hpp"
#include "engine/system/fd.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace engine {

std::vector<std::string> capabilities_of(const container_spec& spec);

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
