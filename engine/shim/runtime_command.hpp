#pragma once

#include "engine/shim/protocol.hpp"

#include <sys/types.h>

#include <string>
#include <vector>

namespace engine {

/// Why a child did not get as far as the runtime.
struct child_failure {
    std::int64_t step = 0; // failure_step; 0: it did
    std::int64_t code = 0; // errno
    std::string object;
};

/// A running command of the OCI runtime. Its exit is heard by the caller's own reaping.
struct runtime_command {
    pid_t pid = -1;
    int report = -1; // read end: child_failure before exec, end-of-file after it
};

enum class runtime_view { plain, with_root };

/// What a command that starts a container has of the shim; -1: nothing.
struct runtime_surroundings {
    int host_network = -1;   // the namespace to run in
    int contents = -1;       // of secrets: write_secret_files()
    int user_namespace = -1; // the container's
};

/// Forks and executes `setup.runtime` with `arguments` (without argv[0] and the global options) and the three
/// descriptors as its stdio (-1: /dev/null). The child has default signals, no further descriptors, and dies
/// with the caller until it has made the container. pid is -1 with errno set when there is no process to be
/// had.
runtime_command start_runtime(const shim_setup& setup, const std::vector<std::string>& arguments,
    const int stdio[3], runtime_view view, const runtime_surroundings& with = {});

/// Once the command's exit was heard: whether it failed before exec. Closes the report.
child_failure take_report(runtime_command& command);

} // namespace engine
