#pragma once

#include "engine/network/attachment.hpp"
#include "engine/network/host_names.hpp"
#include "engine/network/network_record.hpp"
#include "engine/system/netlink.hpp"

#include <sys/types.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

// What workers do to the host's links. Everything here blocks.
namespace engine {

/// An address of an interface, and that of its default route where it has one.
template <typename Address>
struct plug_address {
    Address address;
    unsigned prefix_length = 0;
    std::optional<Address> gateway;
};

/// One interface of a container.
struct plug_step {
    network_driver driver = network_driver::bridge;
    std::string network; // name, for what is said
    veth_request veth;   // of a bridge; its index is looked up
    std::string bridge;
    sublink_request sublink; // of the other drivers; the parent's index is looked up
    std::string parent;
    std::string interface; // in the container
    std::optional<plug_address<ipv4_address>> ipv4;
    std::optional<plug_address<ipv6_address>> ipv6;
    bool route_by_interface = false; // default routes without a gateway: ipvlan in its l3 modes
    std::vector<ip_address> link_local;
    std::map<std::string, std::string> sysctls; // net.… with IFNAME for the interface
};

/// Makes the bridge, or puts right what of it is missing. `alias` marks it as ours whatever its name is. One
/// that is lent is not made: throws error{not_found} where it is gone. Of another driver's network: the VLAN
/// interface that its parent names; throws error{not_found} where a parent is not there and none.
void make_link(const network_record& record, const std::string& alias);

/// Whether the parent of another driver's network is there, or can be made.
bool has_parent(const network_record& record);

/// Takes off a lent bridge what make_link() has added, and leaves it as it was. Nothing where it is gone.
void give_back_bridge(const network_record& record);

/// Deletes them, but for those that were there before us: what somebody else has made and a file names.
void delete_links(const std::vector<std::string>& bridges, const host_names& names);

/// Deletes what bears our names or our alias but for `wanted`; `only_bridges`: interfaces of containers stay.
void delete_strays(const std::set<std::string>& wanted, const host_names& names, bool only_bridges);

/// The kernel's settings of a bridge.
void set_up_bridge(const network_record& record);

/// Lets the kernel route for the networks: IPv6 where one has it.
void set_up_forwarding(bool ipv6);

/// Makes the interfaces of a container in the network namespace of `pid`.
void connect(pid_t pid, std::vector<plug_step> steps);

} // namespace engine
