#pragma once

#include "compose/model/limits.hpp"
#include "engine/system/fd.hpp"
#include "engine/system/task.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace engine {

/// Something mounted into the container beside what every container has. `source` is an absolute path of the
/// host for a bind (volumes and prepared files too) and empty for a tmpfs and an image, which is its layers,
/// never to be written.
struct container_mount {
    enum class kind { bind, tmpfs, image };

    kind type = kind::bind;
    std::string source = {};
    std::string destination = {}; // absolute, inside the container
    bool read_only = false;
    bool recursive = true;                 // bind: the mounts below the source too
    std::string propagation = {};          // bind: rprivate, rslave, rshared …; empty: rprivate
    std::vector<std::string> options = {}; // further ones for the OCI runtime: size=64m, mode=1777, noexec
    std::string name = {};                 // for messages: volume "data"
    std::vector<std::filesystem::path> layers = {}; // image: topmost first
    bool owners_inside =
        false; // volume, image: its files' ids are the container's where those are not the host's
    std::string subpath = {};       // bind, image: what of it; links lead nowhere but into it. Empty: all
    bool read_only_below = false;   // bind that is read_only: the mounts below the source too
    bool read_only_or_fail = false; // likewise, and no start where the kernel cannot do it

    /// Whether the shim mounts it first, where nobody but the OCI runtime sees it: what the runtimes cannot
    /// do, or do not do alike.
    bool is_prepared() const noexcept;

    bool operator==(const container_mount&) const = default;
};

/// A limit of setrlimit(2), e.g. {"nofile", 1024, 4096}. Lower-case name without RLIMIT_; -1 is unlimited.
/// What is above the daemon's own hard limit is lowered to that where CAP_SYS_RESOURCE is missing.
struct resource_limit {
    std::string name;
    std::int64_t soft = 0;
    std::int64_t hard = 0;

    bool operator==(const resource_limit&) const = default;
};

/// A host device made usable inside: the node at `path` with `permissions` (of "rwm").
struct device_access {
    std::string source;
    std::string path;
    std::string permissions = "rwm";

    bool operator==(const device_access&) const = default;
};

/// A program of the host that the OCI runtime runs at a stage of the container's life (OCI runtime spec,
/// hooks).
struct oci_hook {
    std::string stage; // prestart, createRuntime, createContainer, startContainer, poststart, poststop
    std::string path;
    std::vector<std::string> args;
    std::vector<std::string> env;
    std::int64_t timeout = 0; // s; 0: none

    bool operator==(const oci_hook&) const = default;
};

/// The process and its surroundings, as far as Compose and the image decide about them: what becomes the OCI
/// config.json. Holds values only; image defaults are already merged in.
struct container_spec {
    std::vector<std::string> args; // never empty
    std::vector<std::string> env;  // NAME=VALUE; PATH, HOSTNAME, TERM and HOME are added where missing
    std::string cwd = "/";
    std::string user; // "", "1000", "name", "name:group", "1000:1000": the image's files resolve it
    std::vector<std::string> group_add; // names or numbers
    std::string hostname;
    std::string domainname;
    bool tty = false;
    bool stdin_open = false;
    bool stdin_once = false; // close the container's stdin when the first attached client closes its own
    bool read_only = false;
    bool init = false; // run under our own tiny init, which reaps orphans and forwards signals
    bool privileged = false;
    bool no_new_privileges = false;
    bool seccomp_unconfined = false;
    std::string seccomp_profile = {};     // JSON in Docker's form; empty: the host's
    std::string apparmor_profile = {};    // name of one that the host has loaded
    std::string selinux_label = {};       // user:role:type:level
    bool paths_unconfined = false;        // security_opt systempaths=unconfined: nothing masked or read-only
    bool host_pid = false;                // pid: host
    bool host_ipc = false;                // ipc: host
    bool host_uts = false;                // uts: host
    bool host_users = false;              // userns_mode: host
    bool no_shared_memory = false;        // ipc: none
    std::optional<bool> own_cgroups = {}; // a cgroup namespace; not set: where the host has v2
    std::vector<std::string> cap_add;     // with or without CAP_; ALL
    std::vector<std::string> cap_drop;    // likewise
    std::vector<container_mount> mounts;
    std::vector<device_access> devices;
    std::vector<std::string> cdi_devices;              // vendor.com/class=name
    std::vector<compose::device_request> cdi_requests; // to be named by the host's CDI specifications
    std::vector<oci_hook> hooks;
    std::vector<resource_limit> rlimits;
    std::map<std::string, std::string> sysctls;
    std::map<std::string, std::string> annotations;
    std::int64_t shm_size = 64LL << 20; // bytes; Docker's default
    int oom_score_adj = 0;
    bool oom_kill_disable = false;
    compose::limits limits;
    compose::blkio block_io;
    std::vector<std::string> device_rules; // "c 1:3 rwm"

    bool operator==(const container_spec&) const = default;
};

/// Where the container's network namespace comes from.
enum class network_kind {
    own,  // a new one: DNS sockets on 127.0.0.11, links are made by the hook
    none, // a new one with nothing but loopback
    join, // that of `launch::join_namespace`
    host, // the host's
};

/// Where lines go beside the file (logging drivers journald and syslog).
struct log_target {
    enum class kind { none, journald, syslog, rfc3164, rfc5424, rfc5424_micro };
    enum class transport { datagram, unix_socket, udp, tcp }; // unix_socket: of datagrams or of a stream

    kind type = kind::none;
    transport way = transport::datagram;
    std::string place; // path of a socket, or IP address
    std::uint16_t port = 0;
    unsigned facility = 0;
    std::string host_name;
    std::string tag;
    std::string fields; // journald: of each entry, as its protocol has them

    bool operator==(const log_target&) const = default;
};

/// The json-file log, which the shim rotates before a write that finds the file at `max_size`.
struct log_options {
    std::uint64_t max_size = 10U << 20U; // bytes; 0: no rotation
    unsigned max_files = 3;              // the current one and those rotated away: at least 1
    bool discard = false;                // logging driver "none"
    bool compress = false;               // those rotated away
    std::string attributes = {};         // a JSON object that each line has; empty: none
    log_target target = {};

    bool operator==(const log_options&) const = default;
};

/// A secret or config: a file on a tmpfs that only the container sees.
struct secret_mount {
    std::string destination; // absolute, inside the container
    std::size_t size = 0;    // of its content
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t mode = 0444;
};

/// Those of one start.
struct contents_in_memory {
    std::vector<secret_mount> mounts;
    std::shared_ptr<const unique_fd> file; // a memory file with their contents, one after the other
};

/// All that a start needs, as a value.
struct launch {
    std::string id;                            // 64 hexadecimal digits
    std::string name;                          // for messages
    std::uint64_t generation = 1;              // grows with each start; comes back in the exit record
    std::vector<std::filesystem::path> layers; // folders of the unpacked image, topmost first
    container_spec spec;
    network_kind network = network_kind::own;
    std::filesystem::path
        join_namespace;        // network_kind::join: container_runtime::network_namespace() of the other
    pid_t join_pid = 0;        // first process of the container whose pid namespace it is in; 0: its own
    pid_t join_ipc = 0;        // likewise, whose shared memory it has
    pid_t join_network = 0;    // likewise, whose network it is in
    std::string cgroup_parent; // below the root of every hierarchy; empty: the instance's
    std::string oci_runtime;   // name or path; empty: the daemon's
    std::string hosts;         // text of /etc/hosts; empty: the image's own
    std::string resolv_conf;   // likewise
    contents_in_memory secrets;
    log_options log;
    std::uint16_t rows = 0; // of the first terminal; 0: the kernel's default
    std::uint16_t columns = 0;
};

/// A socket of the host that the shim holds for a published port.
struct held_socket {
    unique_fd socket;
    std::string
        forward_to; // address of the container: the shim carries what arrives there; empty: nothing does
    std::uint16_t port = 0; // of the container
    bool udp = false;
};

/// Called once the network namespace is there and before the container's process: makes links and addresses
/// by /proc/`shim`/ns/net and reserves host ports. The sockets it returns are the shim's as long as the
/// container lives. Called for every network_kind; attach() works from here on, so nothing of
/// the output is lost. The closure must outlive the call, which container_runtime::start sees to.
using network_hook = std::function<task<std::vector<held_socket>>(pid_t shim)>;

/// How a run began.
struct start_record {
    std::uint64_t generation = 0;
    pid_t pid = 0; // of the container's first process, in the host's numbering
    pid_t shim = 0;
    std::chrono::system_clock::time_point started_at;
};

/// How a run ended; written by the shim.
struct exit_record {
    std::uint64_t generation = 0;
    int code = 0;   // 0 … 255; 128 + signal when killed; 255 when nobody knows any more
    int signal = 0; // 0: it exited
    bool oom = false;
    bool lost = false; // its shim was killed, so nobody saw how it ended
    std::chrono::system_clock::time_point finished_at;
    std::chrono::nanoseconds ran_for{0}; // by the monotonic clock

    bool operator==(const exit_record&) const = default;
};

/// The listening sockets of the container's DNS, inside its network namespace: the shim keeps duplicates, so
/// queries outlive the daemon.
struct dns_sockets {
    unique_fd udp; // bound, datagrams
    unique_fd tcp; // listening
};

} // namespace engine
