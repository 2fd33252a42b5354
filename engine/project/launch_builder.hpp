#pragma once

#include "engine/container/health.hpp"
#include "engine/container/launch.hpp"
#include "engine/image/config.hpp"
#include "engine/network/attachment.hpp"
#include "engine/network/port_reservation.hpp"
#include "engine/project/container_record.hpp"

#include <optional>
#include <string>
#include <vector>

namespace engine {

/// What a container's launch is made of, gathered from the other parts of the engine.
/// How the host calls itself and others: a container on its network shares that.
struct host_names_files {
    std::string name;
    std::string hosts;
    std::string resolv_conf;
};

struct launch_parts {
    const container_record& record;
    const image_config& image;
    std::vector<std::filesystem::path> layers; // topmost first
    std::vector<container_mount> mounts;       // volumes and binds, sources resolved
    const attachment* network = nullptr;       // nothing without a network of its own
    std::string host_gateway;                  // what `host-gateway` of extra_hosts stands for; may be empty
    log_options log;
    host_names_files host = {}; // of a container on the host's network
};

/// The whole of a start as a value: image defaults and service merged as Docker does it. Pure.
/// Throws error{invalid} when neither image nor service says what to run.
launch build_launch(const launch_parts& parts);

/// The health check in force: the service's over the image's; nothing when there is none or it is disabled.
std::optional<health_config> health_of(const compose::service& service, const image_config& image);

/// The ports to publish, of the service. Throws error{invalid} for what is no port.
std::vector<port_request> ports_of(const compose::service& service);

/// The signal number of "SIGTERM", "TERM" or "15". Throws error{invalid}.
int signal_number(const std::string& name);

/// What stops the container: the service's signal, the image's, SIGTERM.
int stop_signal_of(const compose::service& service, const image_config& image);

/// Log limits of `logging.options` over the defaults. Throws error{invalid} naming the option.
log_options log_options_of(const compose::service& service, log_options defaults);

} // namespace engine
