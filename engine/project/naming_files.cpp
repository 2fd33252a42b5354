#include "engine/project/naming_files.hpp"

#include "compose/model/error.hpp"
#include "compose/model/units.hpp"
#include "engine/project/definitions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <sstream>

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

namespace {

/// What the loader has checked, unless a client of the API sent it.
template <typename Parse>
auto parsed(const std::string& service, std::string_view key, const std::string& text, Parse parse)
    -> decltype(parse(std::string_view())) {
    if (text.empty())
        return std::nullopt;
    auto value = parse(text);
    if (!value)
        throw compose::error(compose::error_kind::invalid,
            fmt::format("service \"{}\": {} \"{}\" is none", service, key, text));
    return value;
}

/// "net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.forwarding=0": Docker's option for the sysctls
/// of one interface.
std::map<std::string, std::string> sysctls_of(const std::string& service, const std::string& text) {
    std::map<std::string, std::string> settings;
    std::size_t begin = 0;
    while (begin < text.size()) {
        const auto end = std::min(text.find(',', begin), text.size());
        const std::string each = text.substr(begin, end - begin);
        const auto equals = each.find('=');
        const std::string name = each.substr(0, equals);
        const bool known = name.starts_with("net.") && name.find("IFNAME") != std::string::npos &&
                           name.find('/') == std::string::npos && name.find("..") == std::string::npos;
        if (equals == std::string::npos || !known)
            throw compose::error(compose::error_kind::invalid,
                fmt::format(
                    "service \"{}\": sysctl \"{}\" is not of the form net.ipv4.conf.IFNAME.NAME=VALUE",
                    service, each));
        settings[name] = each.substr(equals + 1);
        begin = end + 1;
    }
    return settings;
}

endpoint_request endpoint_of(const std::string& service, const compose::service_network& how) {
    endpoint_request request;
    request.gateway_priority = how.gw_priority;
    request.ipv4 = parsed(service, "ipv4_address", how.ipv4_address, parse_ipv4);
    request.ipv6 = parsed(service, "ipv6_address", how.ipv6_address, parse_ipv6);
    request.mac = parsed(service, "mac_address", how.mac_address, parse_mac);
    request.interface = how.interface_name;
    for (const std::string& each : how.link_local_ips)
        if (const auto address = parsed(service, "link_local_ips", each, parse_ip))
            request.link_local.push_back(*address);
    for (const auto& [key, value] : how.driver_opts)
        if (key == "com.docker.network.endpoint.sysctls")
            request.sysctls = sysctls_of(service, value);
        else if (key == "com.docker.network.endpoint.ifname" && request.interface.empty())
            request.interface = value;
    return request;
}

/// The addresses on a network that services of the project ask for: who comes first takes none of them.
std::vector<ip_address> fixed_addresses(const compose::project& project, const std::string& network) {
    std::vector<ip_address> fixed;
    for (const auto* services : {&project.services, &project.disabled_services})
        for (const auto& [name, service] : *services)
            for (const auto& [key, how] : service.networks)
                if (const auto found = project.networks.find(key);
                    found != project.networks.end() && found->second.name == network)
                    for (const std::string* text : {&how.ipv4_address, &how.ipv6_address})
                        if (const auto address = parse_ip(*text))
                            fixed.push_back(*address);
    return fixed;
}

/// Ports that SRV records tell of: those that the file names, each once.
std::vector<offered_port> offers_of(const compose::service& service) {
    std::vector<offered_port> offers;
    const auto add = [&](offered_port port) {
        if (std::find(offers.begin(), offers.end(), port) == offers.end())
            offers.push_back(std::move(port));
    };
    for (const compose::port& port : service.ports)
        if (const auto protocol = parse_transport(port.protocol))
            add({.port = port.target,
                .protocol = *protocol,
                .name = lower(port.name.empty() ? port.app_protocol : port.name)});
    for (const std::string& each : service.expose) {
        const auto slash = std::min(each.find('/'), each.size());
        const auto number = compose::parse_integer(each.substr(0, slash));
        const auto protocol = parse_transport(slash == each.size() ? "tcp" : each.substr(slash + 1));
        if (number && *number > 0 && *number < 65536 && protocol) // a range is not looked into
            add({.port = static_cast<std::uint16_t>(*number), .protocol = *protocol, .name = {}});
    }
    return offers;
}

/// "NAME:ALIAS", or "NAME", which is its own alias.
std::pair<std::string, std::string> link_of(const std::string& text) {
    const auto colon = text.find(':');
    return colon == std::string::npos
               ? std::pair(lower(text), lower(text))
               : std::pair(lower(text.substr(0, colon)), lower(text.substr(colon + 1)));
}

} // namespace

attachment_request attachment_of(const compose::project& project, const container_record& record) {
    const compose::service& service = project.services.at(record.service);
    std::vector<std::pair<std::string, compose::service_network>> ordered(
        service.networks.begin(), service.networks.end());
    // The map gives the order of the keys; the one with the highest priority becomes eth0.
    std::stable_sort(ordered.begin(), ordered.end(),
        [](const auto& a, const auto& b) { return a.second.priority > b.second.priority; });

    attachment_request wanted;
    wanted.dns = service.dns;
    wanted.offers = offers_of(service);
    for (const auto* links : {&service.links, &service.external_links})
        for (const std::string& each : *links) {
            auto [target, alias] = link_of(each);
            wanted.links[alias] = target;
        }
    for (const auto& [key, how] : ordered) {
        endpoint_request request = endpoint_of(record.service, how);
        request.network = project.networks.at(key).name;
        request.set_aside = fixed_addresses(project, request.network);
        add_once(request.aliases, record.name);
        if (request.network != default_bridge().name)
            add_once(request.aliases, record.service);
        add_once(request.aliases, record.id.substr(0, 12));
        for (const std::string& alias : how.aliases)
            add_once(request.aliases, alias);
        wanted.endpoints.push_back(std::move(request));
    }
    if (service.network_mode == "bridge") {
        endpoint_request request;
        request.network = default_bridge().name;
        add_once(request.aliases, record.name);
        add_once(request.aliases, record.id.substr(0, 12));
        wanted.endpoints.push_back(std::move(request));
    }
    if (!wanted.endpoints.empty() && !wanted.endpoints.front().mac)
        wanted.endpoints.front().mac = parsed(record.service, "mac_address", service.mac_address, parse_mac);
    return wanted;
}

std::vector<endpoint_request> fixed_endpoints(
    const compose::project& project, const std::set<std::string>& services) {
    std::vector<endpoint_request> found;
    for (const std::string& name : services) {
        const auto service = project.services.find(name);
        if (service == project.services.end())
            continue;
        for (const auto& [key, how] : service->second.networks) {
            endpoint_request request = endpoint_of(name, how);
            request.network = project.networks.at(key).name;
            if (request.ipv4 || request.ipv6)
                found.push_back(std::move(request));
        }
    }
    return found;
}

std::string hostname_of(const container_record& record) {
    const std::string& wanted = record.service_definition().hostname;
    return wanted.empty() ? record.id.substr(0, 12) : wanted;
}

namespace {

std::string extra_hosts_of(const compose::service& service, const std::string& host_gateway) {
    std::string text;
    for (const std::string& entry : service.extra_hosts) {
        const auto split = entry.find('=');
        if (split == std::string::npos)
            throw compose::error(compose::error_kind::invalid,
                fmt::format("service \"{}\": extra host \"{}\" has no address", service.name, entry));
        std::string address = entry.substr(split + 1);
        if (address == "host-gateway")
            address = host_gateway;
        if (address.empty())
            throw compose::error(compose::error_kind::invalid,
                fmt::format("service \"{}\": extra_hosts: {}: none of its networks leads to the host",
                    service.name, entry));
        text += fmt::format("{}\t{}\n", address, entry.substr(0, split));
    }
    return text;
}

} // namespace

std::string hosts_file_of_host(const compose::service& service, std::string hosts) {
    if (!hosts.empty() && !hosts.ends_with('\n'))
        hosts += '\n';
    return hosts + extra_hosts_of(service, "127.0.0.1");
}

std::string resolv_file_of_host(const compose::service& service, const std::string& resolv_conf) {
    std::string text;
    std::istringstream lines(resolv_conf);
    for (std::string line; std::getline(lines, line);) {
        const std::string key = line.substr(0, line.find_first_of(" \t"));
        const bool replaced = (key == "nameserver" && !service.dns.empty()) ||
                              ((key == "search" || key == "domain") && !service.dns_search.empty()) ||
                              (key == "options" && !service.dns_opt.empty());
        if (!replaced)
            text += line + "\n";
    }
    for (const std::string& server : service.dns)
        text += fmt::format("nameserver {}\n", server);
    if (!service.dns_search.empty())
        text += fmt::format("search {}\n", fmt::join(service.dns_search, " "));
    if (!service.dns_opt.empty())
        text += fmt::format("options {}\n", fmt::join(service.dns_opt, " "));
    return text;
}

std::string hosts_file(
    const container_record& record, const attachment* network, const std::string& host_gateway) {
    std::string text =
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";
    const compose::service& service = record.service_definition();
    text += extra_hosts_of(service, host_gateway);
    if (network != nullptr && !network->endpoints.empty()) {
        // The whole name and its first part, wherever its end was given.
        std::string names = hostname_of(record);
        if (!service.domainname.empty())
            names += "." + service.domainname;
        if (const auto dot = names.find('.'); dot != std::string::npos)
            names += " " + names.substr(0, dot);
        for (const endpoint& each : network->endpoints) {
            if (each.ipv4)
                text += fmt::format("{}\t{}\n", to_string(*each.ipv4), names);
            if (each.ipv6)
                text += fmt::format("{}\t{}\n", to_string(*each.ipv6), names);
        }
    }
    return text;
}

namespace {

struct resolver_settings {
    std::vector<std::string> search;
    std::vector<std::string> options;
};

/// As resolv.conf(5) has it: the last of `search` and `domain` counts, options add up.
resolver_settings settings_in(const std::string& resolv_conf) {
    resolver_settings found;
    std::istringstream lines(resolv_conf);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string key;
        words >> key;
        if (key == "search" || key == "domain")
            found.search.clear();
        else if (key != "options")
            continue;
        std::vector<std::string>& into = key == "options" ? found.options : found.search;
        for (std::string word; words >> word;)
            into.push_back(word);
    }
    return found;
}

} // namespace

std::string resolv_file(const compose::service& service, const std::string& resolv_conf) {
    // Servers of its own are asked by ours, so that it finds its peers all the same.
    std::string text = "nameserver 127.0.0.11\n";
    const resolver_settings of_host = settings_in(resolv_conf);
    const std::vector<std::string>& search = service.dns_search.empty() ? of_host.search : service.dns_search;
    const bool is_none = search == std::vector<std::string>{"."}; // as Docker takes it
    if (!search.empty() && !is_none)
        text += fmt::format("search {}\n", fmt::join(search, " "));
    std::vector<std::string> options = service.dns_opt.empty() ? of_host.options : service.dns_opt;
    // Service names have no dots: without it a resolver would try the search domains first.
    if (std::none_of(
            options.begin(), options.end(), [](const std::string& o) { return o.starts_with("ndots:"); }))
        options.emplace_back("ndots:0");
    text += fmt::format("options {}\n", fmt::join(options, " "));
    return text;
}

} // namespace engine
