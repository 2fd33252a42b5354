#pragma once

#include <cstdint>
#include <vector>

namespace engine {

/// A UDP port of this host.
struct udp_port {
    std::uint32_t address = 0; // host byte order; 0: of every address of this host
    std::uint16_t port = 0;
};

/// Makes the kernel forget the UDP flows that came in on these ports. A flow keeps the address it was
/// translated to (or that it was not) for as long as packets come, whatever the firewall says by now: without
/// this, a client that never stops sending never reaches the next container behind the port.
///
/// Blocks: it reads the table of all flows. Throws error when the kernel refuses.
void forget_udp_flows(const std::vector<udp_port>& ports);

} // namespace engine
