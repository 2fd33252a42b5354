#include "engine/network/network_manager_state.hpp"
#include "engine/network/network_options.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

// Which ports of the host lead to which container, and how.
namespace engine {

using compose::error;
using compose::error_kind;

/// A published port leads to the interface of the default route: answers leave by it, whoever asked. Nothing
/// leads to an internal network.
std::optional<way_in> network_manager::implementation::published_at(const attachment& of, bool ipv6) const {
    const auto way_out = way_out_of(of, ipv6);
    for (std::size_t index = 0; index < of.endpoints.size(); ++index) {
        const endpoint& each = of.endpoints[index];
        const auto network = networks.find(each.network);
        // What is not on a bridge of ours has its own place on the wire.
        if (network == networks.end() || network->second.bridge.empty() ||
            network->second.definition.internal || (way_out && index != *way_out))
            continue;
        const network_options options = options_of(network->second.definition);
        if (ipv6 && each.ipv6)
            return way_in{.address = *each.ipv6, .routed = options.routed6};
        if (!ipv6 && each.ipv4)
            return way_in{.address = *each.ipv4, .routed = options.routed};
    }
    return std::nullopt;
}

namespace {

/// Reached at the container's own address, not at one of the host.
bool is_open_at(const attachment& of, const published_port& port) {
    return std::any_of(of.endpoints.begin(), of.endpoints.end(), [&](const endpoint& each) {
        return (each.ipv4 && port.host == ip_address(*each.ipv4)) ||
               (each.ipv6 && port.host == ip_address(*each.ipv6));
    });
}

} // namespace

std::vector<firewall_port> network_manager::implementation::firewall_ports(const attachment& of) const {
    std::vector<firewall_port> ports;
    if (is_held_back(of))
        return ports;
    for (const published_port& port : of.published) {
        const bool ipv6 = std::holds_alternative<ipv6_address>(port.host);
        auto way = published_at(of, ipv6);
        if (!way && ipv6)
            way = published_at(of, false);
        if (way)
            ports.push_back({.port = port, .container = way->address});
    }
    return ports;
}

/// What of the request can be bound on the host and leads to the container: IPv6 goes to one without it by
/// its shim, IPv4 to one without that does not. What is routed is not reached at the host.
std::optional<port_request> network_manager::implementation::bindable(
    const attachment& of, port_request request) const {
    const auto way = published_at(of, false);
    const auto way6 = published_at(of, true);
    const bool by_ipv4 = way && !way->routed;
    const bool by_ipv6 = way6 ? !way6->routed : by_ipv4;
    if (std::holds_alternative<ipv6_address>(request.host))
        return by_ipv6 ? std::optional(request) : std::nullopt;
    if (by_ipv4) {
        request.both_families = request.both_families && by_ipv6;
        return request;
    }
    if (!by_ipv6 || !request.both_families)
        return std::nullopt;
    request.host = ipv6_address();
    request.both_families = false;
    return request;
}

/// Ports that are open to whoever has a route to the container; not those that an address of the host is
/// named for.
std::vector<published_port> network_manager::implementation::open_ports(
    const attachment& of, const std::vector<port_request>& wanted) const {
    std::set<published_port> open;
    for (const bool ipv6 : {false, true}) {
        const auto way = published_at(of, ipv6);
        if (!way || !way->routed)
            continue;
        for (const port_request& each : wanted)
            if (is_any(each.host) &&
                (each.both_families || std::holds_alternative<ipv6_address>(each.host) == ipv6))
                open.insert({.host = way->address,
                    .port = each.target,
                    .protocol = each.protocol,
                    .target = each.target});
    }
    return {open.begin(), open.end()};
}

std::optional<ip_address> network_manager::forward_target(
    const std::string& container, const published_port& port) const {
    const implementation& self = *implementation_;
    const auto found = self.attachments.find(container);
    if (found == self.attachments.end() || std::holds_alternative<ipv4_address>(port.host))
        return std::nullopt;
    auto way = self.published_at(found->second, true);
    if (!way)
        way = self.published_at(found->second, false);
    return way ? std::optional(way->address) : std::nullopt;
}

std::optional<ip_address> network_manager::default_host(const std::string& container) const {
    if (const attachment* network = find_attachment(container))
        for (const endpoint& each : network->endpoints)
            if (const network_record* record = find(each.network))
                if (const auto host = options_of(record->definition).published_on)
                    return *host;
    return implementation_->settings.publish_default;
}

task<std::vector<port_reservation>> network_manager::publish(
    std::string container, std::vector<port_request> wanted, std::string from, std::vector<unique_fd> lent) {
    implementation& self = *implementation_;
    const auto mine = self.attachments.find(container);
    if (mine == self.attachments.end())
        throw error(error_kind::internal,
            fmt::format("publish ports of container \"{}\": it has no lease", container));
    std::vector<port_request> bound;
    for (const port_request& each : wanted)
        if (const auto request = self.bindable(mine->second, each))
            bound.push_back(*request);
    std::vector<port_reservation> there;
    if (const auto other = self.attachments.find(from); other != self.attachments.end())
        there = pair_up(other->second.published, std::move(lent));
    auto work = [bound = std::move(bound),
                    there = std::make_shared<std::vector<port_reservation>>(std::move(there))] {
        std::vector<port_reservation> taken;
        for (const port_request& each : bound) {
            std::vector<port_reservation> reserved = take_lent(each, *there);
            if (reserved.empty())
                reserved = reserve_port(each);
            for (port_reservation& one : reserved)
                taken.push_back(std::move(one));
        }
        return taken;
    };
    std::vector<port_reservation> taken = co_await blocking(self.executors_.workers, work);
    const auto found = self.attachments.find(container);
    if (found == self.attachments.end())
        throw error(
            error_kind::conflict, fmt::format("container \"{}\" was removed while it started", container));
    found->second.published = self.open_ports(found->second, wanted);
    for (const port_reservation& each : taken)
        found->second.published.push_back(each.port);
    if (!found->second.published.empty())
        self.store_.put(table::lease, container, encode(found->second));
    co_return taken;
}

std::string network_manager::holder_of(const port_request& wanted) const {
    const auto in_the_way = [&](const published_port& port) {
        const bool same_address = port.host == wanted.host || is_any(port.host) || is_any(wanted.host);
        return same_address && port.protocol == wanted.protocol && wanted.first != 0 &&
               port.port >= wanted.first && port.port <= wanted.last;
    };
    for (const auto& held : implementation_->attachments) {
        const attachment& each = held.second;
        if (std::any_of(each.published.begin(), each.published.end(),
                [&](const published_port& port) { return in_the_way(port) && !is_open_at(each, port); }))
            return held.first;
    }
    return {};
}

std::string network_manager::closed_to_outside(
    std::string_view host, std::string_view protocol, unsigned target) const {
    const std::optional<ip_address> at =
        host.empty() ? implementation_->settings.publish_default : parse_ip(host);
    if (at && is_loopback(*at))
        return {};
    for (const closing_chain& each : implementation_->closing)
        if (each.owner == firewall_owner::ufw || each.owner == firewall_owner::administrator)
            return fmt::format("{} keeps other machines from port {}/{}; to let them in: {}", describe(each),
                target, protocol, opening(each, protocol, target));
    return {};
}

} // namespace engine
