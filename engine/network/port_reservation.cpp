#include "engine/network/port_reservation.hpp"

#include "compose/model/error.hpp"
#include "engine/system/socket.hpp"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace engine {

namespace {

constexpr std::array<std::string_view, 3> names{"tcp", "udp", "sctp"};

int number_of(transport protocol) {
    return protocol == transport::udp    ? IPPROTO_UDP
           : protocol == transport::sctp ? IPPROTO_SCTP
                                         : IPPROTO_TCP;
}

socket_place place_of(const ip_address& host, transport protocol, std::uint16_t port) {
    socket_place place{.protocol = number_of(protocol), .port = port};
    if (const auto* four = std::get_if<ipv4_address>(&host)) {
        for (std::size_t at = 0; at < 4; ++at)
            place.address[at] = static_cast<std::uint8_t>(four->value >> (24 - 8 * at) & 255U);
    } else {
        place.ipv6 = true;
        place.address = std::get<ipv6_address>(host).bytes;
    }
    return place;
}

/// IPv6's is a socket that does receive: a container that has no IPv6 is reached by it, and so is ::1.
std::optional<port_reservation> try_port(
    const port_request& request, const ip_address& host, std::uint16_t port) {
    const socket_place place = place_of(host, request.protocol, port);
    auto bound = place.ipv6 && request.protocol != transport::sctp ? bind_listening_socket(place)
                                                                   : bind_deaf_socket(place);
    if (!bound)
        return std::nullopt;
    return port_reservation{
        .port = {.host = host, .port = bound->port, .protocol = request.protocol, .target = request.target},
        .socket = std::move(bound->socket)};
}

/// All that the request asks for, at one port; empty when that is taken.
std::vector<port_reservation> try_both(const port_request& request, std::uint16_t port, bool ipv6) {
    std::vector<port_reservation> taken;
    auto first = try_port(request, request.host, port);
    if (!first)
        return taken;
    const std::uint16_t chosen = first->port.port;
    taken.push_back(std::move(*first));
    if (!ipv6)
        return taken;
    auto second = try_port(request, ipv6_address(), chosen);
    if (!second)
        return {};
    taken.push_back(std::move(*second));
    return taken;
}

} // namespace

std::string_view to_string(transport protocol) noexcept {
    return names[static_cast<std::size_t>(protocol)];
}

std::optional<transport> parse_transport(std::string_view name) noexcept {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end())
        return std::nullopt;
    return static_cast<transport>(found - names.begin());
}

std::vector<port_reservation> pair_up(
    const std::vector<published_port>& ports, std::vector<unique_fd> sockets) {
    std::vector<port_reservation> pairs;
    for (unique_fd& socket : sockets) {
        const auto place = place_of_socket(socket.get());
        const auto found = std::find_if(ports.begin(), ports.end(), [&](const published_port& each) {
            return place == place_of(each.host, each.protocol, each.port);
        });
        if (found != ports.end())
            pairs.push_back({.port = *found, .socket = std::move(socket)});
    }
    return pairs;
}

std::vector<port_reservation> take_lent(const port_request& request, std::vector<port_reservation>& lent) {
    std::vector<port_reservation> taken;
    const auto take = [&](const ip_address& host, unsigned first, unsigned last) {
        const auto found = std::find_if(lent.begin(), lent.end(), [&](const port_reservation& each) {
            const bool meant = first == 0 ? each.port.target == request.target
                                          : each.port.port >= first && each.port.port <= last;
            return meant && each.port.protocol == request.protocol && each.port.host == host;
        });
        if (found == lent.end())
            return false;
        found->port.target = request.target;
        taken.push_back(std::move(*found));
        lent.erase(found);
        return true;
    };
    if (take(request.host, request.first, request.last) && request.both_families)
        take(ipv6_address(), taken.front().port.port, taken.front().port.port);
    return taken;
}

std::vector<port_reservation> reserve_port(const port_request& request) {
    const bool ipv6 = request.both_families && request.protocol != transport::sctp && can_bind_ipv6();
    // Of a port that the kernel chooses the other family may have it taken: as often as moby tries.
    const int attempts = request.first == 0 ? 10 : 1;
    for (int attempt = 0; attempt < attempts; ++attempt)
        for (unsigned port = request.first; port <= request.last; ++port)
            if (auto taken = try_both(request, static_cast<std::uint16_t>(port), ipv6); !taken.empty())
                return taken;

    const std::string_view protocol = to_string(request.protocol);
    if (request.first != request.last)
        throw compose::error(compose::error_kind::conflict,
            fmt::format("publish port \"{}-{}/{}\": every port of the range is taken on this host",
                request.first, request.last, protocol));
    const std::string holder = holder_of_port(number_of(request.protocol), request.first);
    throw compose::error(compose::error_kind::conflict,
        fmt::format("publish port \"{}:{}/{}\": the port is taken by {}; stop that, or publish another port",
            to_string(request.host), request.first, protocol, holder.empty() ? "another program" : holder));
}

} // namespace engine
