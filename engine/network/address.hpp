#pragma once

#include "engine/system/netlink.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace engine {

/// An IPv4 address as a number in host byte order.
struct ipv4_address {
    std::uint32_t value = 0;

    auto operator<=>(const ipv4_address&) const = default;
};

/// An IPv4 prefix; the bits of the host part are zero.
struct ipv4_subnet {
    ipv4_address base;
    unsigned length = 0;

    bool contains(ipv4_address address) const noexcept { return (address.value & mask()) == base.value; }
    bool overlaps(const ipv4_subnet& other) const noexcept {
        return contains(other.base) || other.contains(base);
    }
    ipv4_address last() const noexcept { return {base.value | ~mask()}; }
    std::uint32_t mask() const noexcept { return length == 0 ? 0 : 0xffffffffU << (32U - length); }

    auto operator<=>(const ipv4_subnet&) const = default;
};

/// An IPv6 address, its bytes as on the wire.
struct ipv6_address {
    std::array<std::uint8_t, 16> bytes{};

    /// The address `offset` further on.
    ipv6_address plus(std::uint64_t offset) const noexcept;

    auto operator<=>(const ipv6_address&) const = default;
};

/// An IPv6 prefix; the bits of the host part are zero.
struct ipv6_subnet {
    ipv6_address base;
    unsigned length = 0;

    bool contains(const ipv6_address& address) const noexcept;
    bool overlaps(const ipv6_subnet& other) const noexcept {
        return contains(other.base) || other.contains(base);
    }

    auto operator<=>(const ipv6_subnet&) const = default;
};

/// An address of either family.
using ip_address = std::variant<ipv4_address, ipv6_address>;

/// Dotted decimal with four parts, nothing else.
std::optional<ipv4_address> parse_ipv4(std::string_view text);
/// "172.20.0.0/24"; nothing when bits of the host part are set or the length is above 30 (no room for hosts).
std::optional<ipv4_subnet> parse_subnet(std::string_view text);
/// As inet_pton(3) reads it: without brackets and zone.
std::optional<ipv6_address> parse_ipv6(std::string_view text);
/// "fd00:1::/64"; nothing when bits of the host part are set or the length is above 126.
std::optional<ipv6_subnet> parse_subnet6(std::string_view text);
/// The same of a part of a subnet, which may be one address: "172.20.0.7/32".
std::optional<ipv4_subnet> parse_range(std::string_view text);
std::optional<ipv6_subnet> parse_range6(std::string_view text);
/// The subnet that an address of its hosts is in.
ipv6_subnet subnet_of(const ipv6_address& address, unsigned length) noexcept;
std::optional<ip_address> parse_ip(std::string_view text);

std::string to_string(ipv4_address address);
std::string to_string(const ipv4_subnet& subnet);
std::string to_string(const ipv6_address& address);
std::string to_string(const ipv6_subnet& subnet);
std::string to_string(const ip_address& address);

/// 0.0.0.0 or ::
bool is_any(const ip_address& address) noexcept;
/// 127.0.0.0/8 or ::1
bool is_loopback(const ip_address& address) noexcept;

/// 02:42 and the address: neighbours' ARP caches stay right when an address is given out again, as in
/// Docker 20.10.
mac_address mac_for(ipv4_address address) noexcept;
/// The same of one that has IPv6 only: of its last four bytes.
mac_address mac_for(const ipv6_address& address) noexcept;
std::string to_string(const mac_address& mac);
/// "02:42:ac:11:00:02"; nothing for other text and for the address of a group.
std::optional<mac_address> parse_mac(std::string_view text);

} // namespace engine
