#pragma once

#include "engine/network/address.hpp"
#include "engine/system/fd.hpp"

#include <cstdint>
#include <string>

namespace engine {

enum class transport : std::uint8_t { tcp, udp };

std::string_view to_string(transport protocol) noexcept;

/// What a service asks to be published: the host's side may be a range, or left open (0 to 0).
struct port_request {
    ipv4_address host; // 0.0.0.0: all addresses
    std::uint16_t first = 0;
    std::uint16_t last = 0;
    transport protocol = transport::tcp;
    std::uint16_t target = 0;
};

/// One port of the host that leads to one of a container.
struct published_port {
    ipv4_address host;
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

/// Takes the port, the first free one of a range, or any. Throws error{conflict} that names the port and,
/// where it can be found, the process that holds it.
port_reservation reserve_port(const port_request& request);

} // namespace engine
