#pragma once

#include "engine/network/attachment.hpp"
#include "engine/network/network_record.hpp"
#include "engine/network/port_reservation.hpp"
#include "engine/system/blocking.hpp"

#include <sys/types.h>

#include <chrono>
#include <functional>
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
    std::vector<ipv4_subnet> pools;            // where subnets are cut from, in this order
    unsigned subnet_length = 24;               // of a subnet that is chosen by the engine
    std::optional<ip_address> publish_default; // of ports that name no address of the host; none: all
    std::string ipv6_seed;                     // of this host and instance: what IPv6 subnets derive from
};

/// One network a container is to be on.
struct endpoint_request {
    std::string network; // name on this host
    std::vector<std::string> aliases;
    std::optional<ipv4_address> ipv4;
    std::optional<ipv6_address> ipv6;
    std::vector<ip_address>
        set_aside; // for others that come later: given out only when there is nothing else
    int gateway_priority = 0;
    std::string interface; // its name inside; empty: the next of ethN
    std::optional<mac_address> mac;
    std::vector<ip_address> link_local;
    std::map<std::string, std::string> sysctls;
};

/// What is about to be made, for a look at it before anything is taken down for that.
struct network_outlook {
    std::vector<network_definition> made;
    std::set<std::string> removed;           // names of networks that have gone by then
    std::vector<endpoint_request> endpoints; // with the addresses that are asked for
};

/// All that a container asks of its networks.
struct attachment_request {
    std::vector<endpoint_request> endpoints; // in the order of their interfaces
    std::vector<std::string> dns;            // servers for its outside names, in place of the host's
    std::vector<offered_port> offers;
    std::map<std::string, std::string> links; // what it alone calls others by
    bool held_back = false;                   // until hand_over()
};

/// A container with the name that it is called by from now on.
struct renamed_container {
    std::string id;
    std::string before;
    std::string name;
};

/// Something that others had done to the host and that was put right.
struct network_repair {
    std::string network;   // name; empty for the firewall's table
    std::string container; // id, where it is about one
    std::string what;      // "its bridge had been deleted"
};
using repair_listener = std::function<void(const network_repair&)>;

/// The networks of this host and the containers on them: bridges, addresses, published ports, the firewall
/// table and the names that DNS answers. Engine state: used on the engine's thread only.
///
/// A container passes through: reserve() when it is made (addresses, kept until release()), publish() and
/// then plug() each time it starts, unplug() when it has ended, release() when it is removed.
///
/// Survives a crash: network records and leases (store). Survives the daemon: bridges, veths, the firewall
/// table and the sockets in the shims; start() takes them over. Everything else is made again from
/// the records, whenever somebody has deleted it: guard(). Every name on the host (bridges, veths, table)
/// derives from the instance, and what bears our prefix but is in no record is removed at start.
class network_manager {
  public:
    network_manager(executors on, store& records, network_settings settings);
    ~network_manager();

    /// Takes over the host after a start of the daemon. `alive`: the containers that run, each with its shim
    /// (0: not known yet, adopt() tells). Their published ports go into the table in the transaction that
    /// replaces it, so traffic flows on.
    task<> start(std::map<std::string, pid_t> alive);

    /// From now on puts right by itself what others do to bridges, interfaces and the firewall's table: at
    /// once when the kernel tells, and what it does not tell (kernel settings) every half a minute. `told`
    /// hears of each thing that was put right.
    void guard(repair_listener told);

    /// Where a container of start() is, once it is known.
    void adopt(const std::string& container, pid_t shim);

    /// Makes the network if there is none of that name, and puts its bridge right. Throws error{conflict}
    /// when one of the name exists with another definition, error{exhausted} when no subnet is left.
    task<network_record> ensure(network_definition wanted);

    /// Throws what ensure() and reserve() would throw by then, as far as it is known now: a subnet or bridge
    /// that is another's, no subnet left, a parent that is not there, an address that no container can have.
    task<> check(network_outlook wanted);

    /// Throws error{conflict} naming the containers that are still on it; no error when there is none.
    task<> remove(std::string name);

    /// Before the daemon ends: answers no more names, and waits until what the host has of removed networks
    /// is gone and what containers have asked outside is answered. What is left of both the next daemon
    /// removes, and answers when it is asked again.
    task<> settle(std::chrono::milliseconds limit);

    /// Removes a network that no container has an address on. No error when there is none, or one has.
    task<> remove_if_idle(std::string name);

    const network_record* find(const std::string& name) const;
    std::vector<network_record> list() const;

    /// Chooses an address on each network. The lease is on its way to disk when this returns: `co_await
    /// store.durable()` before the container starts. Throws error{not_found}, error{conflict} for a taken
    /// address, error{exhausted} for a full subnet; then nothing is leased.
    const attachment& reserve(const std::string& container, attachment_request wanted);

    /// Takes the host's ports for the next run, but for those that would lead nowhere: all of a container
    /// that is on internal networks only, or on those of other drivers; those of IPv4 where it has none. The
    /// sockets go to the shim. Of what the container `from` has
    /// published they are those that its shim has `lent`: each has them then. Throws error{conflict}; then
    /// none is taken.
    task<std::vector<port_reservation>> publish(std::string container, std::vector<port_request> wanted,
        std::string from = {}, std::vector<unique_fd> lent = {});

    /// What led to one leads to the other from now on: names at once, published ports in one transaction.
    /// Connections that there are stay where they are. The records change before this gives way to anything
    /// else, and are durable when it returns.
    task<> hand_over(renamed_container from, renamed_container to);

    /// Nobody is led to the container any more until it has ended.
    task<> hold_back(std::string container);
    bool is_held_back(const std::string& container) const;

    /// Where a port of the host goes by the shim, as the kernel cannot translate what arrives at it: that of
    /// IPv6 when it comes from ::1, or is for a container without IPv6. Nothing for all others.
    std::optional<ip_address> forward_target(const std::string& container, const published_port& port) const;

    /// What the host is to the container (`host-gateway`): the gateway of its first network; empty when it
    /// is on none of ours.
    std::string host_gateway(const std::string& container) const;

    /// Where ports that name no address of the host are published: what a network of the container says
    /// (com.docker.network.bridge.host_binding_ipv4), or the setting; nothing: everywhere.
    std::optional<ip_address> default_host(const std::string& container) const;

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

    /// Where somebody's firewall keeps other machines from a port that is to be published on `host` (empty:
    /// the default), who it is and how to open it, which is not ours to do. Empty where nobody does.
    std::string closed_to_outside(std::string_view host, std::string_view protocol, unsigned target) const;

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
