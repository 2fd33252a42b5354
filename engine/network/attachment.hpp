#pragma once

#include "engine/network/address.hpp"
#include "engine/network/port_reservation.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// A container's place on one network: its address stays its own for as long as the container exists.
struct endpoint {
    std::string network; // name on this host
    ipv4_address address;
    std::vector<std::string> aliases; // names it answers to on this network, lower case
    int gateway_priority = 0;

    bool operator==(const endpoint&) const = default;
};

/// All of a container that the network keeps (table::lease, key: container id).
struct attachment {
    std::string container;
    std::vector<endpoint> endpoints;       // in the order of their interfaces: eth0, eth1 …
    std::vector<published_port> published; // of the present run
    std::vector<std::string> dns;          // servers for names that are not ours; none: the host's

    bool operator==(const attachment&) const = default;
};

std::string encode(const attachment& value);
/// Throws error{invalid} naming the record when the text is none.
attachment decode_attachment(std::string_view key, std::string_view text);

} // namespace engine
