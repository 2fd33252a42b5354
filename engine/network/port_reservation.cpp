#include "engine/network/port_reservation.hpp"

#include "compose/model/error.hpp"
#include "engine/system/socket.hpp"

#include <fmt/format.h>

namespace engine {

std::string_view to_string(transport protocol) noexcept {
    return protocol == transport::udp ? "udp" : "tcp";
}

port_reservation reserve_port(const port_request& request) {
    const bool udp = request.protocol == transport::udp;
    for (unsigned port = request.first; port <= request.last; ++port)
        if (auto bound = bind_deaf_socket(udp, request.host.value, static_cast<std::uint16_t>(port)))
            return {.port = {.host = request.host,
                        .port = bound->port,
                        .protocol = request.protocol,
                        .target = request.target},
                .socket = std::move(bound->socket)};

    const std::string_view protocol = to_string(request.protocol);
    if (request.first != request.last)
        throw compose::error(compose::error_kind::conflict,
            fmt::format("publish port \"{}-{}/{}\": every port of the range is taken on this host",
                request.first, request.last, protocol));
    const std::string holder = holder_of_port(udp, request.first);
    throw compose::error(compose::error_kind::conflict,
        fmt::format("publish port \"{}:{}/{}\": the port is taken by {}; stop that, or publish another port",
            to_string(request.host), request.first, protocol, holder.empty() ? "another program" : holder));
}

} // namespace engine
