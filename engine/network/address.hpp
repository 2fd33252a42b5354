#pragma once

#include "engine/system/netlink.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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

/// Dotted decimal with four parts, nothing else.
std::optional<ipv4_address> parse_ipv4(std::string_view text);
/// "172.20.0.0/24"; nothing when bits of the host part are set or the length is above 30 (no room for hosts).
std::optional<ipv4_subnet> parse_subnet(std::string_view text);

std::string to_string(ipv4_address address);
std::string to_string(const ipv4_subnet& subnet);

/// 02:42 and the address: neighbours' ARP caches stay right when an address is given out again, as in
/// Docker 20.10.
mac_address mac_for(ipv4_address address) noexcept;
std::string to_string(const mac_address& mac);

} // namespace engine
