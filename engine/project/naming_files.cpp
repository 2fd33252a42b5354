#include "engine/project/naming_files.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

namespace engine {

namespace {

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
        [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

void add_once(std::vector<std::string>& names, const std::string& name) {
    std::string key = lower(name);
    if (!key.empty() && std::find(names.begin(), names.end(), key) == names.end())
        names.push_back(std::move(key));
}

} // namespace

std::vector<endpoint_request> endpoints_of(const compose::project& project, const container_record& record) {
    const compose::service& service = project.services.at(record.service);
    std::vector<std::pair<std::string, compose::service_network>> ordered(
        service.networks.begin(), service.networks.end());
    // The map gives the order of the keys; the one with the highest priority becomes eth0.
    std::stable_sort(ordered.begin(), ordered.end(),
        [](const auto& a, const auto& b) { return a.second.priority > b.second.priority; });

    std::vector<endpoint_request> wanted;
    for (const auto& [key, how] : ordered) {
        endpoint_request request{.network = project.networks.at(key).name,
            .aliases = {},
            .address = std::nullopt,
            .gateway_priority = how.gw_priority};
        add_once(request.aliases, record.name);
        add_once(request.aliases, record.service);
        add_once(request.aliases, record.id.substr(0, 12));
        for (const std::string& alias : how.aliases)
            add_once(request.aliases, alias);
        if (!how.ipv4_address.empty()) {
            request.address = parse_ipv4(how.ipv4_address);
            if (!request.address)
                throw compose::error(compose::error_kind::invalid,
                    fmt::format("service \"{}\": ipv4_address \"{}\" is no IPv4 address", record.service,
                        how.ipv4_address));
        }
        wanted.push_back(std::move(request));
    }
    return wanted;
}

std::string hostname_of(const container_record& record) {
    const std::string& wanted = record.service_definition().hostname;
    return wanted.empty() ? record.id.substr(0, 12) : wanted;
}

std::string hosts_file(
    const container_record& record, const attachment* network, const std::string& host_gateway) {
    std::string text =
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";
    const compose::service& service = record.service_definition();
    for (const std::string& entry : service.extra_hosts) {
        const auto split = entry.find('=');
        if (split == std::string::npos)
            throw compose::error(compose::error_kind::invalid,
                fmt::format("service \"{}\": extra host \"{}\" has no address", record.service, entry));
        std::string address = entry.substr(split + 1);
        if (address == "host-gateway")
            address = host_gateway;
        text += fmt::format("{}\t{}\n", address, entry.substr(0, split));
    }
    if (network != nullptr && !network->endpoints.empty()) {
        const std::string hostname = hostname_of(record);
        const std::string full =
            service.domainname.empty() ? "" : fmt::format("{}.{} ", hostname, service.domainname);
        for (const endpoint& each : network->endpoints)
            text += fmt::format("{}\t{}{}\n", to_string(each.address), full, hostname);
    }
    return text;
}

std::string resolv_file(const compose::service& service) {
    // Servers of its own are asked by ours, so that it finds its peers all the same.
    std::string text = "nameserver 127.0.0.11\n";
    if (!service.dns_search.empty())
        text += fmt::format("search {}\n", fmt::join(service.dns_search, " "));
    std::vector<std::string> options = service.dns_opt;
    // Service names have no dots: without it a resolver would try the search domains first.
    if (std::none_of(
            options.begin(), options.end(), [](const std::string& o) { return o.starts_with("ndots:"); }))
        options.emplace_back("ndots:0");
    text += fmt::format("options {}\n", fmt::join(options, " "));
    return text;
}

} // namespace engine
