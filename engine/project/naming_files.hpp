#pragma once

#include "engine/network/attachment.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/project/container_record.hpp"

#include <set>
#include <string>
#include <vector>

namespace engine {

/// The networks a container is to be on, in the order of its interfaces, with the names it has there: its own
/// name first, then the service, the first 12 digits of its id, and the aliases of the file. On the network
/// that all of this host share it has its own name alone. Throws error{invalid} for what is no address.
attachment_request attachment_of(const compose::project& project, const container_record& record);

/// The places on networks that containers of the services ask an address of their own for. Throws as
/// attachment_of() does.
std::vector<endpoint_request> fixed_endpoints(
    const compose::project& project, const std::set<std::string>& services);

/// The hostname inside: the service's, or the first 12 digits of the id.
std::string hostname_of(const container_record& record);

/// /etc/hosts: loopback, the container itself on its first network, and extra_hosts. `host_gateway` stands
/// for the address `host-gateway`. Throws error{invalid} for an extra host without an address.
std::string hosts_file(
    const container_record& record, const attachment* network, const std::string& host_gateway);

/// Those of this host for who is on its network, with what the service adds to them: `host-gateway` is the
/// host itself; `dns`, `dns_search` and `dns_opt` stand in the place of what the host has.
std::string hosts_file_of_host(const compose::service& service, std::string hosts);
std::string resolv_file_of_host(const compose::service& service, const std::string& resolv_conf);

/// /etc/resolv.conf that leads to the engine's DNS at 127.0.0.11. Search domains and options are those of the
/// service, or else of this host, whose file is `resolv_conf`.
std::string resolv_file(const compose::service& service, const std::string& resolv_conf);

} // namespace engine
