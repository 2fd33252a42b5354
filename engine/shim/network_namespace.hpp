#pragma once

#include "engine/shim/protocol.hpp"

namespace engine {

/// What entering leaves open; -1 where there is none.
struct network_descriptors {
    int udp = -1; // DNS sockets in the container's namespace
    int tcp = -1;
    int host = -1; // the namespace that was left
    int user = -1; // the container's user namespace, where it has one
};

/// Puts the calling process into the network namespace that `setup` asks for: a new one with loopback up
/// (and, for shim_network::own, DNS sockets on 127.0.0.11 that port 53 is redirected to), that of another
/// container, or the host's. Makes the container's user namespace too, which owns the network namespace. 0,
/// or errno.
int enter_network(const shim_setup& setup, network_descriptors& descriptors);

} // namespace engine
