#pragma once

#include "compose/model/service.hpp"
#include "engine/container/launch.hpp"

#include <string>

namespace engine {

/// What a service may use, and what it shares with the host: limits, devices, ulimits, sysctls, namespaces of
/// the host, security. Throws error{invalid} naming service and key. Pure.
void apply_surroundings(container_spec& spec, const compose::service& service);

/// Throws error{invalid} when the service asks for what belongs to the host's users and does not say
/// `userns_mode: host`. For daemons whose containers have user namespaces. Pure.
void refuse_own_users(const compose::service& service);

/// The service or container whose namespace `mode` (of ipc, pid or network_mode) names; empty: its own, or
/// the host's.
std::string joined_by(const std::string& mode);

} // namespace engine
