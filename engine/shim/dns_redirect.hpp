#pragma once

#include <cstdint>
#include <string>

namespace engine {

/// The nfnetlink batch that redirects port 53 of 127.0.0.11 to the given ports of the same address, for UDP
/// and TCP, in a table `composed_dns` of its own. Two rules each rewrite the port of what goes there and of
/// what comes back, before connection tracking and past it: for a NAT the kernel would track every packet of
/// the container, whatever it is of, and each question would be a connection that its table keeps for half a
/// minute. Ports are in host byte order. Separate from sending it so that it can be compared byte by byte.
std::string dns_redirect_batch(std::uint16_t udp_port, std::uint16_t tcp_port);

/// Applies it in the network namespace of the caller. 0, or the errno of the kernel's answer.
int install_dns_redirect(std::uint16_t udp_port, std::uint16_t tcp_port);

} // namespace engine
