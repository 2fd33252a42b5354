#pragma once

#include "engine/shim/protocol.hpp"

namespace engine {

/// Descriptors of the DNS sockets in the container's namespace; -1 where it has none.
struct dns_listeners {
    int udp = -1;
    int tcp = -1;
};

/// Puts the calling process into the network namespace that `setup` asks for: a new one with loopback up
/// (and, for shim_network::own, DNS sockets on 127.0.0.11 that port 53 is redirected to), that of another
/// container, or the host's. 0, or errno.
int enter_network(const shim_setup& setup, dns_listeners& listeners);

} // namespace engine
