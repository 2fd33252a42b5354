#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace engine {

/// The destination of a route, address in host byte order.
struct routed_subnet {
    std::uint32_t base = 0;
    unsigned length = 0;
};

/// Destinations of the IPv4 routes of this network namespace's main table, without the default routes: what a
/// new subnet must not overlap.
std::vector<routed_subnet> routed_subnets();

struct host_address {
    std::uint32_t address = 0; // in host byte order
    unsigned length = 32;      // of its prefix
    std::string interface;
};

/// The IPv4 addresses of this network namespace's interfaces. Throws error.
std::vector<host_address> host_addresses();

} // namespace engine
