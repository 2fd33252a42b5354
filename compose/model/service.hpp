#pragma once

#include "compose/model/content.hpp"
#include "compose/model/limits.hpp"
#include "compose/model/update.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace compose {

/// x-* keys, value as JSON text: carried and printed, never acted on.
using extensions = std::map<std::string, std::string>;

/// A published or host-side port: one entry of the long syntax.
struct port {
    std::string host_ip;      // empty: all addresses
    std::string published;    // "8080", "8000-8010" (any free one of these), or empty: chosen by the engine
    std::uint16_t target = 0; // inside the container
    std::string protocol = "tcp";
    std::string mode = "ingress";
    std::string name;
    std::string app_protocol;

    bool operator==(const port&) const = default;
};

enum class mount_type { bind, volume, tmpfs, image, cluster, npipe };

/// One entry of `volumes:` in the long syntax; `tmpfs:` entries stay in service::tmpfs.
struct mount {
    mount_type type = mount_type::volume;
    std::string source; // absolute path, key in project::volumes, image, or empty for an anonymous volume
    std::string target; // absolute
    bool read_only = false;
    std::string consistency;

    bool create_host_path = true;              // bind
    std::string propagation;                   // bind: rprivate, rshared …; empty: rprivate
    std::string recursive;                     // bind: enabled, disabled, writable, readonly; empty: enabled
    std::string selinux;                       // bind: z or Z
    bool nocopy = false;                       // volume
    std::string subpath;                       // volume, image
    std::map<std::string, std::string> labels; // volume: of an anonymous one
    std::optional<std::int64_t> tmpfs_size;    // bytes
    std::optional<std::uint32_t> tmpfs_mode;

    bool operator==(const mount&) const = default;
};

/// How a service is on one of its networks.
struct service_network {
    std::vector<std::string> aliases;
    std::string ipv4_address;
    std::string ipv6_address;
    std::vector<std::string> link_local_ips;
    std::string mac_address;
    std::string interface_name;
    std::map<std::string, std::string> driver_opts;
    int priority = 0;
    int gw_priority = 0;

    bool operator==(const service_network&) const = default;
};

enum class dependency_condition { started, healthy, completed_successfully };

struct dependency {
    dependency_condition condition = dependency_condition::started;
    bool restart = false;
    bool required = true;

    bool operator==(const dependency&) const = default;
};

enum class restart_mode { no, always, on_failure, unless_stopped };

struct restart_policy {
    restart_mode mode = restart_mode::no;
    unsigned max_attempts = 0;                          // 0: without end
    std::optional<std::chrono::nanoseconds> delay = {}; // between runs; unset: longer each time
    std::optional<std::chrono::nanoseconds> window =
        {}; // what runs as long has come about: attempts begin anew

    bool operator==(const restart_policy&) const = default;
};

/// Unset members mean the image's value, then the default in notes: 30 s, 30 s, 3, 0 s, 5 s.
struct healthcheck {
    std::vector<std::string> test; // {"CMD", …}, {"CMD-SHELL", line} or {"NONE"}; empty: the image's
    std::optional<std::chrono::nanoseconds> interval;
    std::optional<std::chrono::nanoseconds> timeout;
    std::optional<std::chrono::nanoseconds> start_period;
    std::optional<std::chrono::nanoseconds> start_interval;
    std::optional<unsigned> retries;
    bool disable = false;

    bool operator==(const healthcheck&) const = default;
};

/// Of `max-file`: rotating looks at each of them.
constexpr unsigned most_log_files = 1000;

/// One of `post_start` and `pre_stop`: a command in the running container.
struct hook {
    std::vector<std::string> command;
    std::string user;
    bool privileged = false;
    std::string working_dir;
    std::map<std::string, std::optional<std::string>> environment;

    bool operator==(const hook&) const = default;
};

/// One of `pre_start`: a container of its own beside a new one of the service, which starts only after it has
/// ended with 0.
struct preparation {
    hook work;                // no command: the image's
    std::string image;        // the service's, or another
    bool per_replica = false; // before each container of the service, not once for all of them

    bool operator==(const preparation&) const = default;
};

/// `x-composed: {schedule: …}`: it runs when it is due, and not otherwise.
struct schedule {
    std::string when;    // cron.hpp
    std::string missed;  // what was due while the engine was down: "skip"; empty or "run-once": runs once
    std::string overlap; // due while it runs: "replace"; empty or "skip": it goes on

    bool operator==(const schedule&) const = default;
};

struct logging {
    std::string driver; // empty: json-file
    std::map<std::string, std::string> options;

    bool operator==(const logging&) const = default;
};

/// A service (`services.KEY`) with all its short forms written out.
struct service {
    std::string name;
    std::string image;
    std::optional<std::vector<std::string>> command; // unset: the image's; empty: none
    std::optional<std::vector<std::string>>
        entrypoint; // unset: the image's; set: drops the image's command too
    std::map<std::string, std::optional<std::string>> environment; // env_file folded in; null: not set at all
    std::map<std::string, std::string> labels;
    std::map<std::string, std::string> annotations;

    std::string container_name; // empty: PROJECT-SERVICE-N
    std::string hostname;
    std::string domainname;
    std::string user;
    std::string working_dir;
    std::string stop_signal;
    std::optional<std::chrono::nanoseconds> stop_grace_period;
    std::string platform;
    std::string pull_policy; // empty: missing
    std::optional<bool> init;
    bool tty = false;
    bool stdin_open = false;
    bool read_only = false;
    bool privileged = false;

    std::vector<port> ports;
    std::vector<std::string> expose;
    std::vector<mount> mounts;
    std::vector<std::string> tmpfs;        // PATH[:OPTIONS]
    std::vector<std::string> volumes_from; // SERVICE[:ro|rw], container:NAME[:ro|rw]
    std::vector<content_reference> secrets;
    std::vector<content_reference> configs;
    std::map<std::string, service_network> networks;
    std::string network_mode;             // empty: networks
    std::vector<std::string> extra_hosts; // NAME=ADDRESS; the address may be host-gateway
    std::vector<std::string> dns;
    std::vector<std::string> dns_search;
    std::vector<std::string> dns_opt;
    std::string mac_address;                 // on the first of its networks
    std::vector<std::string> links;          // SERVICE[:ALIAS]
    std::vector<std::string> external_links; // CONTAINER[:ALIAS]

    std::map<std::string, dependency> depends_on;
    restart_policy restart;
    std::optional<healthcheck> health;
    std::vector<preparation> pre_start;
    std::vector<hook> post_start;
    std::vector<hook> pre_stop;
    std::optional<logging> log;
    std::vector<std::string> profiles;
    unsigned scale = 1;

    std::vector<std::string> cap_add;
    std::vector<std::string> cap_drop;
    std::vector<std::string> security_opt; // KEY=VALUE; of seccomp the path of a profile, or itself as JSON

    limits limit;
    std::map<std::string, ulimit> ulimits;
    std::optional<std::int64_t> shm_size; // bytes
    int oom_score_adj = 0;
    bool oom_kill_disable = false;
    blkio block_io;
    std::vector<device> devices;
    std::vector<device_request> device_requests;  // gpus, and those of deploy
    std::vector<std::string> device_cgroup_rules; // "c 1:3 rwm"
    std::map<std::string, std::string> storage_opt;
    std::map<std::string, std::string> sysctls;
    std::vector<std::string> group_add;
    std::string ipc;    // host, private, shareable, none, service:NAME, container:NAME; empty: private
    std::string pid;    // host, service:NAME, container:NAME; empty: its own
    std::string uts;    // host; empty: its own
    std::string cgroup; // host, private; empty: private where the host has cgroup v2
    std::string cgroup_parent;
    std::string userns_mode;      // host
    std::string runtime;          // name or path; empty: the daemon's
    std::string isolation;        // of Windows
    bool credential_spec = false; // whether there is one; of Windows
    bool use_api_socket = false;
    bool attach = true; // of its logs, by an `up` in the foreground
    std::optional<schedule> scheduled;
    std::optional<update_policy> update;   // unset: all containers at once
    std::optional<update_policy> rollback; // of an update that goes back by itself

    extensions extra;

    bool operator==(const service&) const = default;
};

} // namespace compose
