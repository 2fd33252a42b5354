#pragma once

#include "engine/shim/protocol.hpp"

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace engine {

/// Names within RUN/container/ID, the handle of one running container.
namespace run_file {
constexpr const char* lock = "lock";               // flock held by the shim as long as it lives
constexpr const char* socket = "shim.sock";        // where a later daemon connects
constexpr const char* init = "init";               // init_record, once the process runs
constexpr const char* exit = "exit";               // exit record, once it is known
constexpr const char* config = "config.json";      // OCI
constexpr const char* secrets = "secrets";         // mount point of their tmpfs, empty on the host
constexpr const char* root = "rootfs";             // mount point of the overlay, empty on the host
constexpr const char* mounts = "mounts";           // places of shim_setup::mounts, empty on the host
constexpr const char* shared_memory = "shm";       // place of another container's /dev/shm, empty on the host
constexpr const char* user_namespace = "users";    // place of the container's, empty on the host
constexpr const char* cgroup = "cgroup";           // path of its cgroup, where it has a parent of its own
constexpr const char* runtime = "runtime";         // path of its OCI runtime, where it is not the daemon's
constexpr const char* pid = "pid";                 // written by the OCI runtime
constexpr const char* runtime_log = "runtime.log"; // its messages
} // namespace run_file

/// {"generation":…,"pid":…,"start_time":…,"started_at":…}\n, start_time being field 22 of /proc/PID/stat.
std::string init_record(const shim_snapshot& snapshot, std::int64_t start_time);

/// {"generation":…,"code":…,"signal":…,"oom":…,"finished_at":…,"ran_for":…}\n
std::string exit_record_line(const shim_snapshot& snapshot);

/// Writes beside the name and renames: a reader sees all of it or nothing. False with errno set.
bool replace_file(const char* name, const std::string& text);

/// The number in a small file; -1 when there is none.
std::int64_t read_number(const char* name);

/// Field 22 of a /proc/PID/stat line: ticks since boot at which the process started; -1 when the line is no
/// such. The name in field 2 may hold blanks and brackets, so counting begins after the last ')'.
std::int64_t start_time_of(const std::string& stat_line);

/// The same for a process; -1 when there is none.
std::int64_t process_start_time(pid_t pid);

/// Whether the cgroup's `file` (memory.oom_control or memory.events) counts an OOM kill. A file that is gone
/// says no.
bool has_oom_kill(const std::string& file);

} // namespace engine
