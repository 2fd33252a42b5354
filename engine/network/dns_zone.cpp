#include "engine/network/dns_zone.hpp"

#include "engine/network/dns_message.hpp"

#include <algorithm>
#include <cctype>

namespace engine {

namespace {

const endpoint* endpoint_on(const attachment& of, const std::string& network) {
    const auto found = std::find_if(of.endpoints.begin(), of.endpoints.end(),
        [&](const endpoint& each) { return each.network == network; });
    return found == of.endpoints.end() ? nullptr : &*found;
}

/// Names are the same in capitals (RFC 4343). `name` is in lower case by now, as aliases are; a network bears
/// the name that the file has for it.
bool ends_with_network(std::string_view name, std::string_view network) {
    return std::equal(network.rbegin(), network.rend(), name.rbegin(),
        [](unsigned char of_network, char asked) { return std::tolower(of_network) == asked; });
}

/// By an alias, or by ALIAS.NETWORK, which is what we answer for an address.
bool is_called(const endpoint& of, std::string_view name) {
    const std::string_view network = of.network;
    const auto is_alias = [&](std::string_view text) {
        return std::find(of.aliases.begin(), of.aliases.end(), text) != of.aliases.end();
    };
    if (name.size() > network.size() + 1 && name[name.size() - network.size() - 1] == '.' &&
        ends_with_network(name, network) && is_alias(name.substr(0, name.size() - network.size() - 1)))
        return true;
    return is_alias(name);
}

} // namespace

bool dns_zone::is_held_back(const attachment& of) const {
    return of.held_back || draining.contains(of.container);
}

bool dns_zone::may_forward(const attachment& asker) const {
    return std::any_of(asker.endpoints.begin(), asker.endpoints.end(), [&](const endpoint& each) {
        const auto network = networks.find(each.network);
        return network != networks.end() && !network->second.definition.internal;
    });
}

namespace {

bool asks_for(std::uint16_t type, dns_type which) {
    return type == static_cast<std::uint16_t>(which) || type == static_cast<std::uint16_t>(dns_type::any);
}

/// _PORT._PROTOCOL.NAME, the port by its name or number.
struct service_question {
    std::string_view port;
    std::string_view protocol;
    std::string_view name;
};

std::optional<service_question> service_in(std::string_view name) {
    const auto first = name.find('.');
    const auto second = first == std::string_view::npos ? first : name.find('.', first + 1);
    if (second == std::string_view::npos || name[0] != '_' || name[first + 1] != '_')
        return std::nullopt;
    return service_question{.port = name.substr(1, first - 1),
        .protocol = name.substr(first + 2, second - first - 2),
        .name = name.substr(second + 1)};
}

/// The first alias is the container's own name; Docker answers NAME.NETWORK.
std::string full_name(const endpoint& of) {
    return (of.aliases.empty() ? std::string() : of.aliases.front() + ".") + of.network;
}

} // namespace

template <typename Take>
void dns_zone::for_peers(const attachment& asker, std::string_view name, Take take) const {
    const auto link = asker.links.find(std::string(name));
    if (link != asker.links.end())
        name = link->second;
    for (const attachment* peer : names.called(name)) {
        if (!running.contains(peer->container) || is_held_back(*peer))
            continue;
        for (const endpoint& mine : asker.endpoints)
            if (const endpoint* theirs = endpoint_on(*peer, mine.network);
                theirs != nullptr && is_called(*theirs, name))
                take(*peer, *theirs);
    }
}

dns_answer dns_zone::find_name(const attachment& asker, std::uint16_t type, const std::string& name) const {
    dns_answer answer;
    for_peers(asker, name, [&](const attachment&, const endpoint& theirs) {
        answer.known = true;
        if (theirs.ipv4 && asks_for(type, dns_type::a))
            answer.records.addresses.push_back(*theirs.ipv4);
        if (theirs.ipv6 && asks_for(type, dns_type::aaaa))
            answer.records.addresses6.push_back(*theirs.ipv6);
    });
    if (answer.known)
        return answer;
    const auto service = service_in(name);
    answer.absent = is_ours(asker, service ? service->name : name);
    if (!service)
        return answer;
    for_peers(asker, service->name, [&](const attachment& peer, const endpoint& theirs) {
        for (const offered_port& port : peer.offers)
            if (to_string(port.protocol) == service->protocol &&
                (port.name == service->port || std::to_string(port.port) == service->port)) {
                answer.known = true;
                if (asks_for(type, dns_type::srv))
                    answer.records.services.push_back({.port = port.port, .host = full_name(theirs)});
            }
    });
    return answer;
}

dns_answer dns_zone::find_address(const attachment& asker, const ip_address& address) const {
    dns_answer answer;
    for (const attachment* peer : names.at(address)) {
        if (!running.contains(peer->container))
            continue;
        for (const endpoint& mine : asker.endpoints) {
            const endpoint* theirs = endpoint_on(*peer, mine.network);
            const bool meant =
                theirs != nullptr && (std::holds_alternative<ipv4_address>(address)
                                             ? theirs->ipv4 == std::get<ipv4_address>(address)
                                             : theirs->ipv6 == std::get<ipv6_address>(address));
            if (!meant)
                continue;
            answer.known = true;
            answer.records.names.push_back(full_name(*theirs));
        }
    }
    answer.absent = is_ours(asker, address);
    return answer;
}

/// Whether a container that is there, running or not, is called so on one of the asker's networks; without a
/// dot, which no name outside lacks, on any network of the asker's projects.
bool dns_zone::is_ours(const attachment& asker, std::string_view name) const {
    if (asker.links.contains(std::string(name)))
        return true;
    const std::vector<const attachment*> meant = names.called(name);
    if (meant.empty())
        return false;
    std::set<std::string_view> shared;
    std::set<std::string_view> projects;
    for (const endpoint& mine : asker.endpoints) {
        shared.insert(mine.network);
        if (const auto network = networks.find(mine.network); network != networks.end())
            projects.insert(network->second.definition.project);
    }
    projects.erase("");
    const bool plain = name.find('.') == std::string_view::npos;
    const auto is_near = [&](const endpoint& of) {
        if (shared.contains(of.network))
            return true;
        const auto network = plain ? networks.find(of.network) : networks.end();
        return network != networks.end() && projects.contains(network->second.definition.project);
    };
    return std::any_of(meant.begin(), meant.end(), [&](const attachment* peer) {
        return std::any_of(peer->endpoints.begin(), peer->endpoints.end(),
            [&](const endpoint& each) { return is_called(each, name) && is_near(each); });
    });
}

/// The subnet of a bridge that we have made has nobody else in it.
bool dns_zone::is_ours(const attachment& asker, const ip_address& address) const {
    return std::any_of(asker.endpoints.begin(), asker.endpoints.end(), [&](const endpoint& mine) {
        const auto found = networks.find(mine.network);
        if (found == networks.end() || found->second.bridge.empty() || found->second.lent)
            return false;
        const network_record& network = found->second;
        if (const auto* four = std::get_if<ipv4_address>(&address))
            return network.ipv4 && network.ipv4->subnet.contains(*four);
        return network.ipv6 && network.ipv6->subnet.contains(std::get<ipv6_address>(address));
    });
}

dns_answer dns_zone::find(const std::string& asker, std::uint16_t type, const std::string& name) const {
    const auto mine = attachments.find(asker);
    if (mine == attachments.end())
        return {};
    dns_answer answer;
    if (const auto address = address_in_ptr(name))
        answer = find_address(mine->second, *address);
    else
        answer = find_name(mine->second, type, name);
    answer.absent = answer.absent && !answer.known;
    answer.servers = mine->second.dns;
    answer.may_forward = may_forward(mine->second);
    return answer;
}

} // namespace engine
