#include "engine/network/network_manager_state.hpp"
#include "engine/network/network_options.hpp"
#include "engine/system/identifier.hpp"

#include <fmt/format.h>

#include <algorithm>

// What the network manager decides about subnets, addresses and interfaces; nothing here touches the host.
namespace engine {

using compose::error;
using compose::error_kind;

namespace {

/// What is laid down about a network must lie within it.
template <typename Subnet, typename Address>
void check_parts(const std::string& name, const Subnet& subnet, const std::optional<Address>& gateway,
    const std::optional<Subnet>& range) {
    if (gateway && !subnet.contains(*gateway))
        throw error(error_kind::invalid, fmt::format("network \"{}\": gateway {} is not in its subnet {}",
                                             name, to_string(*gateway), to_string(subnet)));
    if (range && !(subnet.contains(range->base) && range->length >= subnet.length))
        throw error(error_kind::invalid, fmt::format("network \"{}\": ip_range {} is not in its subnet {}",
                                             name, to_string(*range), to_string(subnet)));
}

template <typename Subnet>
std::string why_not(
    const address_pool<Subnet>& pool, const Subnet& subnet, const decltype(Subnet::base)& address) {
    if (pool.is_host(address))
        return "taken by another container, or reserved by aux_addresses";
    if (!subnet.contains(address))
        return "not in " + to_string(subnet);
    return address == pool.gateway() ? "that of the gateway"
                                     : "no host's: it means the whole of " + to_string(subnet);
}

template <typename Subnet>
address_pool<Subnet> make_pool(const network_record& record, const Subnet& subnet,
    decltype(Subnet::base) gateway, const std::optional<Subnet>& range) {
    address_pool<Subnet> pool(subnet, gateway, range);
    const auto reserve = [&pool](const std::set<ip_address>& addresses) {
        for (const ip_address& each : addresses)
            if (const auto* address = std::get_if<decltype(Subnet::base)>(&each))
                pool.take(*address);
    };
    reserve(record.definition.reserved);
    if (record.lent)
        reserve(record.lent->addresses);
    return pool;
}

/// A wish, or what is free: what is set aside for others last.
template <typename Subnet>
decltype(Subnet::base) take_address(address_pool<Subnet>& pool, const std::string& network,
    const Subnet& subnet, const std::optional<decltype(Subnet::base)>& wanted,
    const std::vector<ip_address>& set_aside) {
    if (wanted) {
        if (!pool.take(*wanted))
            throw error(
                error_kind::conflict, fmt::format("join network \"{}\": address {} is {}; give another",
                                          network, to_string(*wanted), why_not(pool, subnet, *wanted)));
        return *wanted;
    }
    std::set<decltype(Subnet::base)> others;
    for (const ip_address& each : set_aside)
        if (const auto* address = std::get_if<decltype(Subnet::base)>(&each))
            others.insert(*address);
    auto chosen = pool.allocate(others);
    if (!chosen)
        chosen = pool.allocate();
    if (!chosen)
        throw error(
            error_kind::exhausted, fmt::format("join network \"{}\": all addresses of {} are taken; remove "
                                               "containers, or give it a larger subnet under ipam",
                                       network, to_string(subnet)));
    return *chosen;
}

} // namespace

address_pool<ipv4_subnet>& network_manager::implementation::pool_of(const network_record& record) {
    const auto found = pools.find(record.definition.name);
    if (found != pools.end())
        return found->second;
    return pools
        .emplace(record.definition.name,
            make_pool(record, record.ipv4->subnet, record.ipv4->gateway, record.definition.range))
        .first->second;
}

address_pool<ipv6_subnet>& network_manager::implementation::pool6_of(const network_record& record) {
    const auto found = pools6.find(record.definition.name);
    if (found != pools6.end())
        return found->second;
    return pools6
        .emplace(record.definition.name,
            make_pool(record, record.ipv6->subnet, record.ipv6->gateway, record.definition.range6))
        .first->second;
}

namespace {

/// A subnet that was asked for may be part of a route: the nearer one wins. What holds an address of this
/// host would cut the host off; but on a macvlan's wire this host is a neighbour like others.
void check_subnet(const network_definition& wanted, const neighbourhood& among) {
    const auto refuse = [&](const std::string& why) {
        throw error(
            error_kind::conflict, fmt::format("create network \"{}\": its subnet {} {}; choose another",
                                      wanted.name, to_string(*wanted.subnet), why));
    };
    for (const auto& [name, other] : among.networks)
        if (other.ipv4 && other.ipv4->subnet.overlaps(*wanted.subnet))
            refuse(fmt::format("overlaps {} of network \"{}\"", to_string(other.ipv4->subnet), name));
    for (const std::string_view special : {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"}) // RFC 6890
        if (parse_subnet(std::string(special))->overlaps(*wanted.subnet))
            refuse(fmt::format("overlaps {}, which is no network of hosts", special));
    if (wanted.driver != network_driver::bridge)
        return;
    const std::string bridge = options_of(wanted).bridge;
    for (const host_address& own : among.host.own)
        if (own.interface != bridge && wanted.subnet->contains({own.address}))
            refuse(fmt::format("holds {}, an address of this host", to_string(ipv4_address{own.address})));
}

} // namespace

/// Of a bridge that is there already: what it has is what the network has.
ipv4_lan network_manager::implementation::ipv4_of_bridge(
    network_definition wanted, const neighbourhood& among) const {
    const std::string bridge = options_of(wanted).bridge;
    for (const host_address& own : among.host.own) {
        if (own.interface != bridge || own.length > 30)
            continue;
        ipv4_subnet its{.base = {}, .length = own.length};
        its.base.value = own.address & its.mask();
        if (!wanted.subnet)
            wanted.subnet = its;
        if (!wanted.gateway && wanted.subnet->contains({own.address}))
            wanted.gateway = ipv4_address{own.address};
    }
    return choose_ipv4(wanted, among);
}

ipv4_lan network_manager::implementation::choose_ipv4(
    const network_definition& wanted, const neighbourhood& among) const {
    ipv4_lan lan;
    if (wanted.subnet) {
        check_subnet(wanted, among);
        lan.subnet = *wanted.subnet;
    } else {
        std::vector<ipv4_subnet> routed = among.host.routed;
        for (const auto& [name, other] : among.networks)
            if (other.ipv4)
                routed.push_back(other.ipv4->subnet);
        const auto chosen = choose_subnet(settings.pools, settings.subnet_length, routed);
        if (!chosen)
            throw error(error_kind::exhausted,
                fmt::format(
                    "create network \"{}\": every subnet of the address pools is in use; remove networks, "
                    "or add a pool under networks.pools in composed.yaml",
                    wanted.name));
        lan.subnet = *chosen;
    }
    check_parts(wanted.name, lan.subnet, wanted.gateway, wanted.range);
    lan.gateway = wanted.gateway.value_or(ipv4_address{lan.subnet.base.value + 1});
    return lan;
}

ipv6_lan network_manager::implementation::choose_ipv6(
    const network_definition& wanted, const neighbourhood& among) const {
    if (!among.host.has_ipv6)
        throw error(error_kind::invalid,
            fmt::format("create network \"{}\": enable_ipv6 needs IPv6, which this host's kernel was started "
                        "without",
                wanted.name));
    // Of a bridge that is there already: what it has is what the network has.
    std::optional<ipv6_subnet> given = wanted.subnet6;
    if (const auto of_bridge = among.host.ipv6.find(options_of(wanted).bridge);
        !given && of_bridge != among.host.ipv6.end() && !of_bridge->second.empty())
        given = of_bridge->second.front().subnet;
    std::vector<ipv6_subnet> used;
    for (const auto& [name, other] : among.networks)
        if (other.ipv6) {
            if (given && other.ipv6->subnet.overlaps(*given))
                throw error(error_kind::conflict,
                    fmt::format("create network \"{}\": its subnet {} overlaps {} of network \"{}\"; choose "
                                "another",
                        wanted.name, to_string(*given), to_string(other.ipv6->subnet), name));
            used.push_back(other.ipv6->subnet);
        }
    const auto chosen = given ? given : choose_subnet6(settings.ipv6_seed, used);
    if (!chosen)
        throw error(error_kind::exhausted,
            fmt::format("create network \"{}\": no IPv6 subnet is left; give it one", wanted.name));
    check_parts(wanted.name, *chosen, wanted.gateway6, wanted.range6);
    return {.subnet = *chosen, .gateway = wanted.gateway6.value_or(chosen->base.plus(1))};
}

namespace {

void check_bridge_name(
    const network_definition& wanted, const std::string& name, const neighbourhood& among) {
    if (among.host.links.contains(name))
        throw error(error_kind::invalid,
            fmt::format("create network \"{}\": driver_opts.com.docker.network.bridge.name: \"{}\" is an "
                        "interface of this host and no bridge; name a bridge, or one that is not there",
                wanted.name, name));
    for (const auto& [other, record] : among.networks)
        if (record.bridge == name)
            throw error(error_kind::conflict,
                fmt::format(
                    "create network \"{}\": its bridge \"{}\" is that of network \"{}\"; name another",
                    wanted.name, name, other));
}

/// The interface that a driver of its own place on the wire needs, or what it is made of.
void check_parent(const network_definition& wanted, const std::string& parent, const surroundings& host) {
    const auto vlan = parse_vlan(parent);
    if (parent.empty() || host.interfaces.contains(parent) || (vlan && host.interfaces.contains(vlan->on)))
        return;
    throw error(error_kind::not_found, missing_parent(wanted.name, parent));
}

} // namespace

network_record network_manager::implementation::draw_up(
    network_definition wanted, const neighbourhood& among) const {
    const network_options options = options_of(wanted);
    check_parent(wanted, options.parent, among.host);
    network_record record;
    const auto there = among.host.bridges.find(options.bridge);
    if (there != among.host.bridges.end())
        record.lent = there->second;
    if (wanted.ipv4)
        record.ipv4 = record.lent ? ipv4_of_bridge(wanted, among) : choose_ipv4(wanted, among);
    if (wanted.ipv6)
        record.ipv6 = choose_ipv6(wanted, among);
    if (record.ipv6 && record.lent && !wanted.gateway6)
        for (const ip_address& each : record.lent->addresses)
            if (const auto* own = std::get_if<ipv6_address>(&each);
                own != nullptr && record.ipv6->subnet.contains(*own))
                record.ipv6->gateway = *own;
    record.id = random_identifier();
    if (wanted.driver == network_driver::bridge)
        record.bridge = options.bridge.empty() ? names.bridge(record.id) : options.bridge;
    if (!options.bridge.empty())
        check_bridge_name(wanted, options.bridge, among);
    record.created = timestamp_now();
    record.definition = std::move(wanted);
    return record;
}

namespace {

/// The host as it is without what the network has there.
void take_out(surroundings& host, const network_record& record) {
    if (record.ipv4)
        std::erase_if(host.routed, [&](const ipv4_subnet& each) { return each == record.ipv4->subnet; });
    if (!record.lent)
        return;
    host.bridges.insert_or_assign(record.bridge, *record.lent);
    if (const auto ours = given_ipv4(record))
        std::erase_if(host.own, [&](const host_address& each) {
            return each.interface == record.bridge && each.address == ours->value;
        });
    if (const auto ours = given_ipv6(record))
        std::erase_if(host.ipv6[record.bridge], [&](const ipv6_lan& each) { return each.gateway == *ours; });
}

} // namespace

void network_manager::implementation::check_outlook(const network_outlook& wanted) const {
    surroundings host = around;
    std::map<std::string, network_record> later = networks;
    for (const std::string& name : wanted.removed)
        if (const auto found = later.find(name); found != later.end()) {
            take_out(host, found->second);
            later.erase(found);
        }
    for (const network_definition& each : wanted.made)
        if (!later.contains(each.name))
            later.emplace(each.name, draw_up(each, {.host = host, .networks = later}));
    for (const endpoint_request& each : wanted.endpoints) {
        const auto found = later.find(each.network);
        if (found == later.end())
            continue;
        const network_record& network = found->second;
        const network_definition& how = network.definition;
        if (each.ipv4 && network.ipv4) {
            auto free = make_pool(network, network.ipv4->subnet, network.ipv4->gateway, how.range);
            take_address(free, each.network, network.ipv4->subnet, each.ipv4, {});
        }
        if (each.ipv6 && network.ipv6) {
            auto free = make_pool(network, network.ipv6->subnet, network.ipv6->gateway, how.range6);
            take_address(free, each.network, network.ipv6->subnet, each.ipv6, {});
        }
    }
}

void network_manager::implementation::lease_ipv4(
    endpoint& into, const endpoint_request& wanted, const network_record& network) {
    if (network.ipv4)
        into.ipv4 = take_address(
            pool_of(network), wanted.network, network.ipv4->subnet, wanted.ipv4, wanted.set_aside);
    else if (wanted.ipv4)
        throw error(error_kind::invalid, fmt::format("join network \"{}\": it has no IPv4 for the address {}",
                                             wanted.network, to_string(*wanted.ipv4)));
}

void network_manager::implementation::lease_ipv6(
    endpoint& into, const endpoint_request& wanted, const network_record& network) {
    if (network.ipv6)
        into.ipv6 = take_address(
            pool6_of(network), wanted.network, network.ipv6->subnet, wanted.ipv6, wanted.set_aside);
    else if (wanted.ipv6)
        throw error(error_kind::invalid,
            fmt::format("join network \"{}\": it has no IPv6 for the address {}; give it enable_ipv6: true",
                wanted.network, to_string(*wanted.ipv6)));
}

endpoint network_manager::implementation::lease(const endpoint_request& wanted) {
    const auto network = networks.find(wanted.network);
    if (network == networks.end())
        throw error(error_kind::not_found,
            fmt::format("join network \"{}\": there is none of that name", wanted.network));
    endpoint result{.network = wanted.network,
        .ipv4 = std::nullopt,
        .ipv6 = std::nullopt,
        .aliases = wanted.aliases,
        .gateway_priority = wanted.gateway_priority,
        .interface = wanted.interface,
        .mac = wanted.mac,
        .link_local = wanted.link_local,
        .sysctls = wanted.sysctls};
    lease_ipv4(result, wanted, network->second);
    try {
        lease_ipv6(result, wanted, network->second);
    } catch (...) {
        if (result.ipv4)
            pool_of(network->second).give_back(*result.ipv4);
        throw;
    }
    return result;
}

void network_manager::implementation::give_back(const attachment& of) {
    for (const endpoint& each : of.endpoints) {
        if (const auto pool = pools.find(each.network); each.ipv4 && pool != pools.end())
            pool->second.give_back(*each.ipv4);
        if (const auto pool = pools6.find(each.network); each.ipv6 && pool != pools6.end())
            pool->second.give_back(*each.ipv6);
    }
}

bool network_manager::implementation::any_has_ipv6() const {
    return std::any_of(
        networks.begin(), networks.end(), [](const auto& each) { return each.second.ipv6.has_value(); });
}

/// The interface of the default route of a family: of the networks that lead out the one with the highest
/// priority, or the first. Nothing when all are internal.
std::optional<std::size_t> network_manager::implementation::way_out_of(
    const attachment& of, bool ipv6) const {
    std::optional<std::size_t> way_out;
    for (std::size_t index = 0; index < of.endpoints.size(); ++index) {
        const endpoint& each = of.endpoints[index];
        const auto network = networks.find(each.network);
        const bool has = ipv6 ? each.ipv6.has_value() : each.ipv4.has_value();
        if (!has || network == networks.end() || network->second.definition.internal)
            continue;
        if (!way_out || each.gateway_priority > of.endpoints[*way_out].gateway_priority)
            way_out = index;
    }
    return way_out;
}

/// What the container's interfaces are called: as the file says, else by their place among them, or the next
/// number that is left where the file has given that name to another.
std::vector<std::string> network_manager::implementation::interfaces_of(const attachment& of) const {
    std::set<std::string> taken;
    for (const endpoint& each : of.endpoints)
        taken.insert(each.interface);
    std::vector<std::string> interfaces;
    for (const endpoint& each : of.endpoints) {
        std::string name = each.interface;
        const std::string prefix = options_of(networks.at(each.network).definition).interface_prefix;
        for (std::size_t number = interfaces.size(); name.empty(); ++number)
            if (std::string free = fmt::format("{}{}", prefix, number); taken.insert(free).second)
                name = std::move(free);
        interfaces.push_back(std::move(name));
    }
    return interfaces;
}

std::vector<plug_step> network_manager::implementation::plan_plug(const attachment& of, pid_t pid) const {
    std::vector<plug_step> steps;
    const std::vector<std::string> interfaces = interfaces_of(of);
    const auto way_out = way_out_of(of, false);
    const auto way_out6 = way_out_of(of, true);
    for (std::size_t index = 0; index < of.endpoints.size(); ++index) {
        const endpoint& each = of.endpoints[index];
        const network_record& network = networks.at(each.network);
        const network_options options = options_of(network.definition);
        const mac_address mac = each.mac    ? *each.mac
                                : each.ipv4 ? mac_for(*each.ipv4)
                                            : mac_for(each.ipv6.value_or(ipv6_address()));
        plug_step step;
        step.driver = network.definition.driver;
        step.network = each.network;
        step.interface = interfaces[index];
        step.bridge = network.bridge;
        step.parent = options.parent;
        step.veth = {.name = names.veth(of.container, static_cast<unsigned>(index), pid),
            .bridge = 0,
            .peer_pid = pid,
            .peer_name = step.interface,
            .peer_mac = mac,
            .mtu = options.mtu,
            .isolated = !options.between_members};
        // A bridge takes the lowest address of its ports for its own: somebody else's is to keep it.
        if (network.lent) {
            step.veth.mac = mac;
            step.veth.mac->front() = 0xfe;
        }
        step.sublink = {.kind = std::string(to_string(step.driver)),
            .mode = options.mode,
            .parent = 0,
            .pid = pid,
            .name = step.interface,
            .mac = mac,
            .mtu = options.mtu};
        step.route_by_interface = options.mode.starts_with("l3");
        if (each.ipv4 && network.ipv4)
            step.ipv4 = {.address = *each.ipv4,
                .prefix_length = network.ipv4->subnet.length,
                .gateway = way_out == index ? std::optional(network.ipv4->gateway) : std::nullopt};
        if (each.ipv6 && network.ipv6)
            step.ipv6 = {.address = *each.ipv6,
                .prefix_length = network.ipv6->subnet.length,
                .gateway = way_out6 == index ? std::optional(network.ipv6->gateway) : std::nullopt};
        step.link_local = each.link_local;
        step.sysctls = each.sysctls;
        steps.push_back(std::move(step));
    }
    return steps;
}

std::string network_manager::host_gateway(const std::string& container) const {
    const attachment* network = find_attachment(container);
    if (network != nullptr)
        for (const endpoint& each : network->endpoints)
            if (const network_record* record = find(each.network); record != nullptr) {
                if (record->ipv4)
                    return to_string(record->ipv4->gateway);
                if (record->ipv6)
                    return to_string(record->ipv6->gateway);
            }
    return {};
}

} // namespace engine
