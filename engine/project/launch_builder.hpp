#pragma once

#include "engine/container/health.hpp"
#include "engine/container/launch.hpp"
#include "engine/image/config.hpp"
#include "engine/network/attachment.hpp"
#include "engine/network/port_reservation.hpp"
#include "engine/project/container_record.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace engine {

/// How the host calls itself and others: a container on its network shares that.
struct host_names_files {
    std::string name;
    std::string hosts;
    std::string resolv_conf;
};

/// What a container's launch is made of, gathered from the other parts of the engine.
struct launch_parts {
    const container_record& record;
    const container_record& named; // whose network it is on, and so whose names it has: mostly its own
    std::filesystem::path join;    // the network namespace of `named` when that is another's
    const image_config& image;
    std::vector<std::filesystem::path> layers; // topmost first
    std::vector<container_mount> mounts;       // volumes and binds, sources resolved
    const attachment* network = nullptr;       // of `named`; nothing without a network
    std::string host_gateway;                  // what `host-gateway` of extra_hosts stands for; may be empty
    log_options log;
    contents_in_memory secrets = {};
    host_names_files host = {}; // but resolv_conf only of a container on the host's network
    pid_t join_pid = 0;         // first processes of those whose namespaces it shares
    pid_t join_ipc = 0;
    pid_t join_network = 0;
};

/// The whole of a start as a value: image defaults and service merged as Docker does it. Pure.
/// Throws error{invalid} when neither image nor service says what to run.
launch build_launch(const launch_parts& parts);

/// Whether a container that is unhealthy is to be ended and started again: `x-composed: {restart-unhealthy:
/// true}` of the service or of the project, or the label `autoheal=true` that others' tools go by.
bool restarts_unhealthy(const compose::project& project, const compose::service& service);

/// Whether it is on the network of another container: network_mode service:NAME or container:NAME.
bool joins_network(const compose::service& service);

/// The health check in force: the service's over the image's; nothing when there is none or it is disabled.
std::optional<health_config> health_of(const compose::service& service, const image_config& image);

/// The ports to publish, of the service; `default_host`: address of the host for those that name none, in
/// place of all addresses. Throws error{invalid} for what is no port.
std::vector<port_request> ports_of(
    const compose::service& service, const std::optional<ip_address>& default_host);

/// The signal number of "SIGTERM", "TERM" or "15". Throws error{invalid}.
int signal_number(const std::string& name);

/// What stops the container: the service's signal, the image's, SIGTERM.
int stop_signal_of(const compose::service& service, const image_config& image);

} // namespace engine
