#pragma once

#include "engine/system/fd.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace engine {

/// Where a socket of this host is bound: bytes as on the wire, of IPv4 the first four; port 0: any.
struct socket_place {
    int protocol = 0; // IPPROTO_TCP, IPPROTO_UDP or IPPROTO_SCTP
    bool ipv6 = false;
    std::array<std::uint8_t, 16> address{};
    std::uint16_t port = 0;

    bool operator==(const socket_place&) const = default;
};

struct bound_socket {
    unique_fd socket;
    std::uint16_t port = 0;
};

/// Binds a (listening) socket that receives nothing: a filter drops every packet. Nothing when the port is
/// taken. Throws error{invalid} when this host has no such address or protocol.
std::optional<bound_socket> bind_deaf_socket(const socket_place& where);

/// The same of one that does receive; it never blocks. An IPv6 one takes nothing of IPv4.
std::optional<bound_socket> bind_listening_socket(const socket_place& where);

/// What an IPv4 or IPv6 socket is bound to; nothing of another one.
std::optional<socket_place> place_of_socket(int fd);

/// "nginx (pid 812)": the process that has a socket bound to the port, or empty when it cannot be found
/// (another namespace, a kernel socket).
std::string holder_of_port(int protocol, std::uint16_t port);

/// Whether a socket can be bound to ::, which needs IPv6 in the kernel and on some interface.
bool can_bind_ipv6();

/// The first address of a host's name, as text; an address is its own. Asks the resolver: blocks. Throws
/// error{not_found} naming the host.
std::string address_of_host(const std::string& name);

} // namespace engine
