#pragma once

#include "engine/system/fd.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace engine {

/// Binds a TCP (listening) or UDP socket to an address and port of the host (host byte order; port 0: any)
/// that receives nothing: a filter drops every packet. Nothing when the port is taken; throws error for all
/// else.
struct bound_socket {
    unique_fd socket;
    std::uint16_t port = 0;
};
std::optional<bound_socket> bind_deaf_socket(bool udp, std::uint32_t address, std::uint16_t port);

/// "nginx (pid 812)": the process that has a socket bound to the port, or empty when it cannot be found
/// (another namespace, a kernel socket).
std::string holder_of_port(bool udp, std::uint16_t port);

} // namespace engine
