#pragma once

#include "engine/network/address.hpp"
#include "engine/network/port_reservation.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// A container's place on one network. Its address stays its own for as long as the container exists.
struct endpoint {
    std::string network; // name on this host
    std::optional<ipv4_address> ipv4;
    std::optional<ipv6_address> ipv6;
    std::vector<std::string> aliases; // names it answers to on this network, lower case
    int gateway_priority = 0;
    std::string interface;                      // in the container; empty: the next of ethN
    std::optional<mac_address> mac;             // none: derived from the address
    std::vector<ip_address> link_local;         // further addresses, which nobody leases
    std::map<std::string, std::string> sysctls; // net.… with IFNAME for the interface

    bool operator==(const endpoint&) const = default;
};

/// A port that programs listen on inside, as the file tells of it: what SRV records are made from.
struct offered_port {
    std::uint16_t port = 0;
    transport protocol = transport::tcp;
    std::string name; // empty: it is found by its number alone

    bool operator==(const offered_port&) const = default;
};

/// All of a container that the network keeps (table::lease, key: container id).
struct attachment {
    std::string container;
    std::vector<endpoint> endpoints;       // in the order of their interfaces: eth0, eth1 …
    std::vector<published_port> published; // of the present run
    std::vector<std::string> dns;          // servers for names that are not ours; none: the host's
    std::vector<offered_port> offers;
    std::map<std::string, std::string> links; // what it alone calls another by: name, alias of the other
    bool held_back =
        false; // nobody is led to it, by a name or by a port: it comes to take a place, or leaves

    bool operator==(const attachment&) const = default;
};

/// Its first address, IPv4 before IPv6.
std::optional<ip_address> address_of(const endpoint& of) noexcept;

std::string encode(const attachment& value);
/// Throws error{invalid} naming the record when the text is none.
attachment decode_attachment(std::string_view key, std::string_view text);

} // namespace engine
