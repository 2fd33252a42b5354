#include "engine/network/dns_zone.hpp"

#include "engine/network/dns_message.hpp"

#include <algorithm>

namespace engine {

namespace {

const endpoint* endpoint_on(const attachment& of, const std::string& network) {
    const auto found = std::find_if(of.endpoints.begin(), of.endpoints.end(),
        [&](const endpoint& each) { return each.network == network; });
    return found == of.endpoints.end() ? nullptr : &*found;
}

/// By an alias, or by ALIAS.NETWORK, which is what we answer for an address.
bool is_called(const endpoint& of, std::string_view name) {
    const std::string_view network = of.network;
    if (name.size() > network.size() + 1 && name.ends_with(network) &&
        name[name.size() - network.size() - 1] == '.' &&
        std::find(of.aliases.begin(), of.aliases.end(), name.substr(0, name.size() - network.size() - 1)) !=
            of.aliases.end())
        return true;
    return std::find(of.aliases.begin(), of.aliases.end(), name) != of.aliases.end();
}

} // namespace

bool dns_zone::may_forward(const attachment& asker) const {
    return std::any_of(asker.endpoints.begin(), asker.endpoints.end(), [&](const endpoint& each) {
        const auto network = networks.find(each.network);
        return network != networks.end() && !network->second.definition.internal;
    });
}

dns_answer dns_zone::find_name(const attachment& asker, std::uint16_t type, const std::string& name) const {
    dns_answer answer;
    for (const std::string& id : running) {
        const auto peer = attachments.find(id);
        if (peer == attachments.end())
            continue;
        for (const endpoint& mine : asker.endpoints) {
            const endpoint* theirs = endpoint_on(peer->second, mine.network);
            if (theirs == nullptr || !is_called(*theirs, name))
                continue;
            answer.known = true;
            if (type == static_cast<std::uint16_t>(dns_type::a) ||
                type == static_cast<std::uint16_t>(dns_type::any))
                answer.addresses.push_back(theirs->address);
        }
    }
    return answer;
}

dns_answer dns_zone::find_address(const attachment& asker, ipv4_address address) const {
    dns_answer answer;
    for (const std::string& id : running) {
        const auto peer = attachments.find(id);
        if (peer == attachments.end())
            continue;
        for (const endpoint& mine : asker.endpoints) {
            const endpoint* theirs = endpoint_on(peer->second, mine.network);
            if (theirs == nullptr || theirs->address != address)
                continue;
            answer.known = true;
            // The first alias is the container's own name; Docker answers NAME.NETWORK.
            if (!theirs->aliases.empty())
                answer.names.push_back(theirs->aliases.front() + "." + theirs->network);
        }
    }
    return answer;
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
    answer.servers = mine->second.dns;
    answer.may_forward = may_forward(mine->second);
    return answer;
}

} // namespace engine
