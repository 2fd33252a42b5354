#pragma once

#include "engine/container/exec_session.hpp"
#include "engine/container/former_logs.hpp"
#include "engine/container/launch.hpp"
#include "engine/container/user_ids.hpp"
#include "engine/system/blocking.hpp"
#include "engine/system/cgroup.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace engine {

struct host_abilities;

/// Where the runtime works. Folders are made as needed.
struct runtime_options {
    std::string instance = "composed";  // cgroup parent
    std::filesystem::path state;        // STATE/container/ID: logs, upper, work
    std::filesystem::path run;          // RUN/container/ID: bundle, shim socket, lock, exit record
    std::filesystem::path shim_program; // composed-shim
    std::filesystem::path oci_runtime;  // empty: crun, else runc, by PATH
    std::filesystem::path seccomp_profile =
        "/usr/share/containers/seccomp.json"; // not there: unconfined, with a warning
    std::vector<std::filesystem::path> cdi_folders = {"/etc/cdi", "/var/run/cdi"};
    std::optional<user_id_range> user_ids = {}; // of containers; not set: the host's
    std::filesystem::path api_socket;           // of the daemon, for `use_api_socket`
};

/// What the owner hears; called on the engine's thread. For each start() that came so far, first one
/// `started`, then one `exited` of the same generation, however short the run was.
struct runtime_events {
    std::function<void(const std::string& id, const start_record&)> started;
    /// Awaited before the shim may forget the exit: record it durably here. A daemon that dies before it
    /// returns hears of the same exit again from recover().
    std::function<task<>(std::string id, exit_record)> exited;
    /// The DNS sockets of a container with a network of its own: at each start and for each one recovered.
    std::function<void(const std::string& id, dns_sockets)> dns;
};

/// Which streams of the container's first process a client wants.
struct attach_request {
    bool input = false;
    bool output = true;
    bool error = true;
    bool hold = false; // the container waits for it instead of leaving it behind
};

/// Runs containers. Owns STATE/container/* and RUN/container/*, one composed-shim a running container.
///
/// A container here is absent → starting → running → exited → absent: between runs only its folder under
/// STATE is left (logs and upper layer), until remove(). RUN/container/ID is made first and is the intent to
/// start; it goes last. After a crash of the daemon the shims and containers go on; recover() takes them over
/// again (lock held = alive), delivers exits that nobody has heard of, and clears away what a crash left half
/// made.
///
/// All members are called on the engine's thread. Operations on different containers run at the same time;
/// on the same one start() after start() is the caller's mistake (error{conflict}).
class container_runtime {
  public:
    /// Throws error{unavailable} when there is neither crun nor runc, or no shim program.
    container_runtime(executors executors, runtime_options options, runtime_events events);

    /// Leaves containers running.
    ~container_runtime();

    /// Adopts what an earlier daemon left: call once, before anything else. Gives the containers that run;
    /// exits meanwhile are delivered through events.exited before this returns. A shim has 2 s to answer.
    task<std::vector<std::pair<std::string, start_record>>> recover();

    /// Starts a run, returns when the process runs. Waits for the end of an earlier run's clearing up. Throws
    /// error{not_found} when the command is not there (exit code 127 by convention), error{invalid} when it
    /// cannot be executed (126) or the spec is wrong, and what `network` throws; then nothing is left of the
    /// run.
    task<start_record> start(launch what, network_hook network);

    /// TERM ladder: `signal`, up to `grace` (negative: for ever), KILL, 10 s, then error{conflict}: the
    /// process is stuck in the kernel. Returns when events.exited has returned; at once when it does not run.
    task<> stop(std::string id, int signal, std::chrono::nanoseconds grace);

    /// Sends a signal to the first process. Throws error{conflict} when it does not run.
    void signal(const std::string& id, int number);

    /// Freezes or thaws all processes. Throws error{conflict} when it does not run.
    task<> pause(std::string id, bool frozen);

    /// Makes the limits of a running container those of `after`; nothing for one that does not run. Throws
    /// error{conflict} where the kernel refuses one.
    task<> change_limits(std::string id, compose::limits before, compose::limits after);

    /// What the host can do of what containers ask.
    const host_abilities& host() const noexcept;

    /// Whether its processes are frozen, by the kernel.
    task<bool> is_frozen(std::string id) const;

    /// Its cgroup: to look at. Cheap.
    container_cgroup cgroup(const std::string& id) const;

    /// Starts a process in the running container, or takes over the one of that name which a former daemon
    /// has left. Throws error{conflict} when it does not run; not_found and invalid as start().
    task<exec_session> exec(std::string id, exec_spec spec);

    /// Streams of the first process, from now on. A client that does not read for 1 MiB is cut off unless it
    /// is one to be waited for. Throws error{conflict} when it does not run.
    task<stream_set> attach(std::string id, attach_request what);

    /// Sets the size of the container's terminal; ignored without one.
    void resize(const std::string& id, std::uint16_t rows, std::uint16_t columns);

    /// The sockets of its published ports, for who is to have them as well. None of one that does not run, or
    /// whose shim is of an earlier release.
    task<std::vector<unique_fd>> lend_ports(std::string id);

    /// Whether its shim takes new clients of the ports that it carries itself (held_socket). For a container
    /// that is being started from before its process runs.
    void accept_clients(const std::string& id, bool accepting);

    /// Removes what is left of a container that does not run: writable layer and logs. Renamed to trash at
    /// once and deleted behind. Throws error{conflict} when it runs.
    task<> remove(std::string id);

    /// The containers of which there is something on disk, whether they run or not. Blocks shortly.
    std::vector<std::string> on_disk() const;

    /// Running (or starting), in no order.
    std::vector<std::string> running() const;
    std::optional<start_record> find(const std::string& id) const;

    /// For network_kind::join of another container. Throws error{conflict} when `id` does not run.
    std::filesystem::path network_namespace(const std::string& id) const;

    /// The log file of a container; rotated ones beside it are FILE.1, FILE.2 … See logs.hpp.
    std::filesystem::path log_file(const std::string& id) const;

    /// Logs of containers that have been replaced.
    former_logs replaced_logs() const;

    /// The folders of a container's writable layer: copy-up, cp and diff look here.
    std::filesystem::path upper(const std::string& id) const;

    const std::filesystem::path& api_socket() const noexcept;

    /// "crun" or "runc", with its path: for `version` and `--check`.
    const std::filesystem::path& oci_runtime() const noexcept;

  private:
    task<start_record> start_run(launch what, network_hook network);

    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
