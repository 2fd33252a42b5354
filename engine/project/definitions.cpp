#include "engine/project/definitions.hpp"

#include "compose/model/error.hpp"
#include "engine/network/network_options.hpp"
#include "engine/project/container_record.hpp"

#include <fmt/format.h>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

template <typename Parse>
auto parsed(const std::string& network, std::string_view what, const std::string& text, Parse parse,
    std::string_view example) {
    const auto value = parse(text);
    if (!text.empty() && !value)
        throw error(error_kind::invalid,
            fmt::format("network \"{}\": {} \"{}\" is none, like {}", network, what, text, example));
    return value;
}

/// One entry of ipam.config, of the family of its subnet.
void take_pool(network_definition& into, const compose::ipam_pool& pool) {
    const bool six = (pool.subnet + pool.gateway + pool.ip_range).find(':') != std::string::npos;
    if (six) {
        into.subnet6 = parsed(into.name, "subnet", pool.subnet, parse_subnet6, "fd00:1::/64");
        into.gateway6 = parsed(into.name, "gateway", pool.gateway, parse_ipv6, "fd00:1::1");
        into.range6 = parsed(into.name, "ip_range", pool.ip_range, parse_range6, "fd00:1::1:0/112");
    } else {
        into.subnet = parsed(into.name, "subnet", pool.subnet, parse_subnet, "172.28.0.0/16");
        into.gateway = parsed(into.name, "gateway", pool.gateway, parse_ipv4, "172.28.0.1");
        into.range = parsed(into.name, "ip_range", pool.ip_range, parse_range, "172.28.5.0/24");
    }
    for (const auto& [host, address] : pool.aux_addresses)
        into.reserved.insert(
            *parsed(into.name, "aux_addresses", address.empty() ? "?" : address, parse_ip, "172.28.0.5"));
}

} // namespace

network_definition network_of(const compose::project& project, const std::string& key) {
    const compose::network& wanted = project.networks.at(key);
    network_definition definition;
    definition.name = wanted.name;
    definition.project = project.name;
    definition.key = key;
    definition.labels = wanted.labels;
    definition.options = wanted.driver_opts;
    definition.internal = wanted.internal;
    definition.ipv4 = wanted.enable_ipv4;
    definition.ipv6 = wanted.enable_ipv6;
    const auto driver = parse_network_driver(wanted.driver.empty() ? "bridge" : wanted.driver);
    if (!driver)
        throw error(error_kind::invalid,
            fmt::format(
                "network \"{}\": driver \"{}\" is not known; there are bridge, macvlan, ipvlan, and host "
                "or none as the only network of a service",
                wanted.name, wanted.driver));
    definition.driver = *driver;
    for (const compose::ipam_pool& pool : wanted.pools)
        take_pool(definition, pool);
    options_of(definition); // what it refuses is refused before anything is made
    return definition;
}

network_definition default_bridge() {
    network_definition definition;
    definition.name = "bridge";
    return definition;
}

volume_definition volume_of(const compose::project& project, const std::string& key) {
    const compose::volume& wanted = project.volumes.at(key);
    return {.name = wanted.name,
        .project = project.name,
        .key = key,
        .driver_opts = wanted.driver_opts,
        .labels = wanted.labels};
}

std::map<std::string, std::string> labels_of(const volume_definition& volume) {
    std::map<std::string, std::string> labels = volume.labels;
    if (volume.project.empty()) // made by hand
        return labels;
    const auto set = [&](std::string_view key, std::string_view value) {
        labels[fmt::format("com.docker.compose.{}", key)] = value;
    };
    set("project", volume.project);
    if (!volume.key.empty())
        set("volume", volume.key);
    set("version", compose_version);
    return labels;
}

} // namespace engine
