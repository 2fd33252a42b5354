#pragma once

#include <map>
#include <string>
#include <vector>

namespace compose {

/// One entry of `ipam.config`. Addresses and prefixes are kept as written, checked by the loader.
struct ipam_pool {
    std::string subnet;
    std::string ip_range;
    std::string gateway;
    std::map<std::string, std::string> aux_addresses;

    bool operator==(const ipam_pool&) const = default;
};

/// A network of the project (`networks.KEY`).
struct network {
    std::string name; // on the host: PROJECT_KEY unless `name:` or `external:` says otherwise
    bool external = false;
    std::string driver; // empty: bridge
    std::map<std::string, std::string> driver_opts;
    bool internal = false;
    bool attachable = false;
    bool enable_ipv4 = true;
    bool enable_ipv6 = false;
    std::string ipam_driver; // empty: default
    std::vector<ipam_pool> pools;
    std::map<std::string, std::string> labels;

    bool operator==(const network&) const = default;
};

} // namespace compose
