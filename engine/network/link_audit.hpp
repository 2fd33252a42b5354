#pragma once

#include "engine/network/address.hpp"
#include "engine/system/netlink.hpp"

#include <string>
#include <vector>

namespace engine {

/// A network's bridge as it must be.
struct wanted_bridge {
    std::string network; // its name, for what is said
    std::string bridge;
    bool lent = false;                   // not ours: whether it is there and up is its owner's business
    std::optional<ipv4_address> gateway; // that it has from us
    std::optional<ipv6_address> gateway6;
};

/// The near end of a running container's interface.
struct wanted_port {
    std::string container; // id
    std::string veth;
    std::string bridge;
    unsigned endpoint = 0; // of its attachment
};

enum class link_fault_kind { bridge_gone, bridge_down, address_gone, port_gone, port_down, port_astray };

/// One thing of the host that is not as it must be.
struct link_fault {
    link_fault_kind kind{};
    std::size_t at = 0; // of the bridges for the first three kinds, of the ports for the others

    bool operator==(const link_fault&) const = default;
};

/// Compares; in the order in which faults can be put right. A bridge that is gone has none of the lesser
/// ones.
std::vector<link_fault> find_link_faults(const std::vector<wanted_bridge>& bridges,
    const std::vector<wanted_port>& ports, const std::vector<link_info>& links);

} // namespace engine
