#include "engine/network/link_audit.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

namespace engine {

namespace {

bool lacks_address(const link_info& link, const wanted_bridge& wanted) {
    const auto& four = link.addresses;
    const auto& six = link.ipv6_addresses;
    return (wanted.gateway && std::find(four.begin(), four.end(), wanted.gateway->value) == four.end()) ||
           (wanted.gateway6 && std::find(six.begin(), six.end(), wanted.gateway6->bytes) == six.end());
}

} // namespace

std::vector<link_fault> find_link_faults(const std::vector<wanted_bridge>& bridges,
    const std::vector<wanted_port>& ports, const std::vector<link_info>& links) {
    std::map<std::string_view, const link_info*> by_name;
    for (const link_info& link : links)
        by_name.emplace(link.name, &link);
    const auto find = [&](const std::string& name) {
        const auto found = by_name.find(name);
        return found == by_name.end() ? nullptr : found->second;
    };

    std::vector<link_fault> faults;
    std::set<std::string_view> gone; // and not ours to make
    for (std::size_t at = 0; at < bridges.size(); ++at) {
        const link_info* link = find(bridges[at].bridge);
        if (link == nullptr) {
            if (bridges[at].lent)
                gone.insert(bridges[at].bridge);
            else
                faults.push_back({link_fault_kind::bridge_gone, at});
            continue;
        }
        if (!link->up && !bridges[at].lent)
            faults.push_back({link_fault_kind::bridge_down, at});
        if (lacks_address(*link, bridges[at]))
            faults.push_back({link_fault_kind::address_gone, at});
    }
    for (std::size_t at = 0; at < ports.size(); ++at) {
        if (gone.contains(ports[at].bridge))
            continue;
        const link_info* link = find(ports[at].veth);
        if (link == nullptr) {
            faults.push_back({link_fault_kind::port_gone, at});
            continue;
        }
        const link_info* bridge = find(ports[at].bridge);
        if (bridge == nullptr || link->master != bridge->index)
            faults.push_back({link_fault_kind::port_astray, at});
        if (!link->up)
            faults.push_back({link_fault_kind::port_down, at});
    }
    return faults;
}

} // namespace engine
