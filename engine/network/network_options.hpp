#pragma once

#include "engine/network/network_record.hpp"

#include <optional>
#include <string>

namespace engine {

/// What the driver_opts of a network mean. The names are Docker's.
struct network_options {
    std::string bridge;          // its name on the host; empty: ours
    unsigned mtu = 0;            // 0: the kernel's
    bool between_members = true; // its containers reach one another
    bool masquerade = true;      // IPv4 that leaves it bears this host's address
    bool masquerade6 = true;
    bool routed =
        false; // others know a route to its containers: their published ports are open, not translated
    bool routed6 = false;
    std::optional<ipv4_address> published_on; // host address of ports that name none
    std::string interface_prefix = "eth";     // of the interfaces in the containers
    std::string parent;                       // macvlan and ipvlan: the host's interface
    std::string mode;                         // of macvlan or ipvlan; empty: bridge, l2
};

/// What "eth0.42" says: an interface of the VLAN 42 on eth0. Nothing for other names.
struct vlan_name {
    std::string on;
    unsigned tag = 0;
};
std::optional<vlan_name> parse_vlan(const std::string& interface);

/// What there is to say of a parent that is not there.
std::string missing_parent(const std::string& network, const std::string& parent);

/// Throws error{invalid} naming the network and the option for one that is unknown or says nothing we can do.
network_options options_of(const network_definition& network);

} // namespace engine
