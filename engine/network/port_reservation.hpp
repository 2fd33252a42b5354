#pragma once

#include "engine/network/address.hpp"
#include "engine/system/fd.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

enum class transport : std::uint8_t { tcp, udp, sctp };

std::string_view to_string(transport protocol) noexcept;
std::optional<transport> parse_transport(std::string_view name) noexcept;

/// What a service asks to be published: the host's side may be a range, or left open (0 to 0).
struct port_request {
    ip_address host;            // 0.0.0.0, ::: all addresses of the family
    bool both_families = false; // the same port of :: too, where this host has IPv6
    std::uint16_t first = 0;
    std::uint16_t last = 0;
    transport protocol = transport::tcp;
    std::uint16_t target = 0;
};

/// One port of the host that leads to one of a container; or one of the container itself that is open to who
/// has a route to it.
struct published_port {
    ip_address host; // the container's own address where it is reached there
    std::uint16_t port = 0;
    transport protocol = transport::tcp;
    std::uint16_t target = 0;

    auto operator<=>(const published_port&) const = default;
};

/// A port of the host that nothing else can take while `socket` is open. The socket never receives: a filter
/// drops what reaches it, as traffic goes round it by DNAT. The container's shim holds it, so it outlives the
/// daemon.
struct port_reservation {
    published_port port;
    unique_fd socket;
};

/// The ports with the sockets that are bound to them; a socket of none of them is closed.
std::vector<port_reservation> pair_up(
    const std::vector<published_port>& ports, std::vector<unique_fd> sockets);

/// What the request asks for, taken out of `lent`: the sockets of a container whose place another takes, so
/// that the port is at no moment anybody else's. Empty when it is not among them.
std::vector<port_reservation> take_lent(const port_request& request, std::vector<port_reservation>& lent);

/// Takes the port, the first free one of a range, or any: of one family, or the same of both. Throws
/// error{conflict} that names the port and, where it can be found, the process that holds it.
std::vector<port_reservation> reserve_port(const port_request& request);

} // namespace engine
