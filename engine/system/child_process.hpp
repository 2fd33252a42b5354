#pragma once

#include "engine/system/fd.hpp"

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace engine {

/// A child of this process, known by its pidfd: the number alone may be reused once it was reaped.
struct child_process {
    pid_t pid = 0;
    unique_fd handle; // readable when the process has ended
};

/// What a program is started with: nothing of the daemon's is inherited but what is named here.
struct program_start {
    std::filesystem::path program;
    std::vector<std::string> arguments; // without argv[0]
    std::filesystem::path folder;       // working directory; empty: this process's
    int descriptor = -1;                // becomes descriptor 3 of the child; -1: none
    bool session = false;               // in a session of its own
};

/// Starts a program by posix_spawn: this process has threads and must not fork. stdin, stdout and stderr are
/// /dev/null, signals are at their defaults, the environment holds PATH only. Throws error naming the
/// program.
child_process start_program(const program_start& what);

/// Reaps a child whose handle is readable; nothing while it runs.
std::optional<int> reap(const child_process& child);

/// Sends a signal by pidfd; a process that is gone is no error.
void send_signal(const unique_fd& handle, int number);

/// A pidfd of any process. Throws error{not_found} when there is none.
unique_fd open_process(pid_t pid);

/// Whether the process has ended; waits for that, at most `limit`. Blocks.
bool has_ended(const unique_fd& handle, std::chrono::milliseconds limit = std::chrono::milliseconds(0));

/// A pidfd of the process that `pid` is a child of, when the folder that it works in has been removed; else
/// empty.
unique_fd open_parent_in_removed_folder(pid_t pid);

/// Whether this process may raise limits and lower oom_score_adj.
bool has_sys_resource();

} // namespace engine
