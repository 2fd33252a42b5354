#include "engine/network/network_manager_state.hpp"
#include "engine/system/file.hpp"
#include "engine/system/routes.hpp"

#include <fmt/format.h>

#include <filesystem>

// What there is on the host beside the networks of this engine.
namespace engine {

namespace {

lent_bridge as_it_is(const link_info& link) {
    constexpr std::size_t limit = 16;
    const std::string setting = fmt::format("/proc/sys/net/ipv4/conf/{}/route_localnet", link.name);
    lent_bridge now{.up = link.up,
        .route_localnet = read_file_if_there(setting, limit).value_or("").starts_with('1'),
        .addresses = {}};
    for (const std::uint32_t address : link.addresses)
        now.addresses.insert(ipv4_address{address});
    for (const ipv6_bytes& address : link.ipv6_addresses)
        now.addresses.insert(ipv6_address{address});
    return now;
}

/// But for those of the link alone (fe80::/10), and those with no room for containers.
std::vector<ipv6_lan> ipv6_of(const link_info& link) {
    std::vector<ipv6_lan> lans;
    for (std::size_t at = 0; at < link.ipv6_addresses.size(); ++at) {
        const ipv6_address own{link.ipv6_addresses[at]};
        const bool is_local = own.bytes[0] == 0xfe && (own.bytes[1] & 0xc0U) == 0x80;
        if (const unsigned length = link.ipv6_lengths[at]; !is_local && length >= 1 && length <= 126)
            lans.push_back({.subnet = subnet_of(own, length), .gateway = own});
    }
    return lans;
}

} // namespace

bool kernel_has_ipv6() {
    return std::filesystem::exists("/proc/sys/net/ipv6");
}

surroundings look_around(const host_names& names) {
    surroundings host;
    host.has_ipv6 = kernel_has_ipv6();
    for (const routed_subnet& route : routed_subnets())
        host.routed.push_back({.base = {route.base}, .length = route.length});
    std::set<std::string> ours;
    for (const link_info& link : netlink_socket().list_links()) {
        host.interfaces.insert(link.name);
        if (!link.is_bridge) {
            host.links.insert(link.name);
        } else if (names.is_bridge(link.name) || link.alias == names.alias()) {
            ours.insert(link.name);
        } else {
            host.bridges.emplace(link.name, as_it_is(link));
            host.ipv6.emplace(link.name, ipv6_of(link));
        }
    }
    for (const host_address& each : host_addresses())
        if (!ours.contains(each.interface))
            host.own.push_back(each);
    return host;
}

} // namespace engine
