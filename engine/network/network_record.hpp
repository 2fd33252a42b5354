#pragma once

#include "engine/network/address.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace engine {

/// How a network's containers reach one another and the outside.
enum class network_driver : std::uint8_t {
    bridge,  // a bridge of ours, its gateway this host
    macvlan, // each container with a hardware address of its own on the parent's wire
    ipvlan,  // each container with an IP address of its own behind the parent's hardware address
};

std::string_view to_string(network_driver driver) noexcept;
std::optional<network_driver> parse_network_driver(std::string_view name) noexcept;

/// A network as it was asked for. Subnets and gateways are chosen by the engine where they are left out.
struct network_definition {
    std::string name; // on this host
    std::string project;
    std::string key; // in the project's file
    std::map<std::string, std::string> labels;
    network_driver driver = network_driver::bridge;
    std::map<std::string, std::string> options; // driver_opts
    bool internal = false;
    bool ipv4 = true;
    bool ipv6 = false;
    std::optional<ipv4_subnet> subnet;
    std::optional<ipv4_address> gateway;
    std::optional<ipv4_subnet> range;
    std::optional<ipv6_subnet> subnet6;
    std::optional<ipv6_address> gateway6;
    std::optional<ipv6_subnet> range6;
    std::set<ip_address> reserved; // aux_addresses: others' on this network, never given out

    bool operator==(const network_definition&) const = default;
};

struct ipv4_lan {
    ipv4_subnet subnet;
    ipv4_address gateway;

    bool operator==(const ipv4_lan&) const = default;
};

struct ipv6_lan {
    ipv6_subnet subnet;
    ipv6_address gateway;

    bool operator==(const ipv6_lan&) const = default;
};

/// How somebody else's bridge was before a network came to use it.
struct lent_bridge {
    bool up = false;
    bool route_localnet = false;
    std::set<ip_address> addresses; // they stay its own: no container gets one

    bool operator==(const lent_bridge&) const = default;
};

/// A network as it is kept in the store (table::network, key: its name). The bridge may be missing at any
/// moment; the record says how to make it again.
struct network_record {
    std::string id; // 64 hex digits
    network_definition definition;
    std::optional<ipv4_lan> ipv4;
    std::optional<ipv6_lan> ipv6;
    std::string bridge;              // empty: another driver's
    std::optional<lent_bridge> lent; // the bridge is not ours: neither made nor deleted, and given back
    std::string created;             // RFC 3339
};

/// The addresses that we give to the bridge: none where it has one of its own in the subnet.
std::optional<ipv4_address> given_ipv4(const network_record& record);
std::optional<ipv6_address> given_ipv6(const network_record& record);

std::string encode(const network_record& record);
/// Throws error{invalid} naming the record when the text is none.
network_record decode_network(std::string_view key, std::string_view text);

} // namespace engine
