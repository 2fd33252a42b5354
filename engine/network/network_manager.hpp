#pragma once

#include "engine/network/attachment.hpp"
#include "engine/network/network_record.hpp"
#include "engine/network/port_reservation.hpp"
#include "engine/system/blocking.hpp"

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace engine {

class store;

struct network_settings {
    std::string instance = "composed";
    std::vector<ipv4_subnet> pools; // where subnets are cut from, in this order
    unsigned subnet_length = 24;    // of a subnet that is chosen by the engine
};

/// One network a container is to be on.
struct endpoint_request {
    std::string network; // name on this host
    std::vector<std::string> aliases;
    std::optional<ipv4_address> address;
    int gateway_priority = 0;
};

/// The networks of this host and the containers on them: bridges, addresses, published ports, the firewall
/// table and the names that DNS answers. Engine state: used on the engine's thread only.
///
/// A container passes through: reserve() when it is made (addresses, kept until release()), publish() and
/// then plug() each time it starts, unplug() when it has ended, release() when it is removed.
///
/// Survives a crash: network records and leases (store). Survives the daemon: bridges, veths, the firewall
/// table and the sockets in the shims; start() takes them over. Everything else is made again from
/// the records: ensure() puts right a bridge that somebody deleted, load of the whole table a firewall that
/// somebody flushed. Every name on the host (bridges, veths, table) derives from the instance, and what bears
/// our prefix but is in no record is removed at start.
class network_manager {
  public:
    network_manager(executors on, store& records, network_settings settings);
    ~network_manager();

    /// Takes over the host after a start of the daemon. `alive`: the containers that run. Their published
    /// ports go into the table in the transaction that replaces it, so traffic flows on.
    task<> start(std::set<std::string> alive);

    /// Makes the network if there is none of that name, and puts its bridge right. Throws error{conflict}
    /// when one of the name exists with another definition, error{exhausted} when no subnet is left.
    task<network_record> ensure(network_definition wanted);

    /// Throws error{conflict} naming the containers that are still on it; no error when there is none.
    task<> remove(std::string name);

    const network_record* find(const std::string& name) const;
    std::vector<network_record> list() const;

    /// Chooses an address on each network. The lease is on its way to disk when this returns: `co_await
    /// store.durable()` before the container starts. Throws error{not_found}, error{conflict} for a taken
    /// address, error{exhausted} for a full subnet; then nothing is leased.
    /// `dns`: servers for its outside names, in place of the host's.
    const attachment& reserve(const std::string& container, std::vector<endpoint_request> wanted,
        std::vector<std::string> dns = {});

    /// Takes the host's ports for the next run. The sockets go to the shim. Throws error{conflict}; then none
    /// is taken.
    task<std::vector<port_reservation>> publish(std::string container, std::vector<port_request> wanted);

    /// Connects the network namespace of `pid` (the container's shim, before its program starts) and opens
    /// the ports.
    task<> plug(std::string container, pid_t pid);

    /// Serves the container's DNS sockets.
    void serve_dns(const std::string& container, unique_fd udp, unique_fd tcp);

    /// The container has ended: its names and ports are gone, its addresses stay its own.
    task<> unplug(std::string container);

    /// The container is removed: its addresses are free again.
    void release(const std::string& container);

    const attachment* find_attachment(const std::string& container) const;

    /// The container that has the port published at this moment; empty when none of ours has.
    std::string holder_of(const port_request& wanted) const;

    /// Takes everything of this instance off the host: links and the firewall table. For tests and
    /// uninstallation.
    task<> clear_host();

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
