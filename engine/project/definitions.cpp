#include "engine/project/definitions.hpp"

#include "compose/model/error.hpp"

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
            fmt::format("network \"{}\": {} \"{}\" is none for IPv4, like {}", network, what, text, example));
    return value;
}

} // namespace

network_definition network_of(const compose::project& project, const std::string& key) {
    const compose::network& wanted = project.networks.at(key);
    if (!wanted.driver.empty() && wanted.driver != "bridge")
        throw error(
            error_kind::invalid, fmt::format("network \"{}\": driver \"{}\" is not supported yet; use bridge",
                                     wanted.name, wanted.driver));
    network_definition definition{.name = wanted.name,
        .project = project.name,
        .key = key,
        .labels = wanted.labels,
        .internal = wanted.internal,
        .subnet = std::nullopt,
        .gateway = std::nullopt,
        .range = std::nullopt};
    if (!wanted.pools.empty()) {
        const compose::ipam_pool& pool = wanted.pools.front();
        definition.subnet = parsed(wanted.name, "subnet", pool.subnet, parse_subnet, "172.28.0.0/16");
        definition.gateway = parsed(wanted.name, "gateway", pool.gateway, parse_ipv4, "172.28.0.1");
        definition.range = parsed(wanted.name, "ip_range", pool.ip_range, parse_subnet, "172.28.5.0/24");
    }
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

} // namespace engine
