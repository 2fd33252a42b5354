#include "engine/network/network_manager.hpp"

#include "compose/model/error.hpp"
#include "engine/network/address_pool.hpp"
#include "engine/network/dns_server.hpp"
#include "engine/network/dns_zone.hpp"
#include "engine/network/firewall.hpp"
#include "engine/network/host_names.hpp"
#include "engine/store/store.hpp"
#include "engine/system/async_mutex.hpp"
#include "engine/system/conntrack.hpp"
#include "engine/system/file.hpp"
#include "engine/system/identifier.hpp"
#include "engine/system/netlink.hpp"
#include "engine/system/network_namespace.hpp"
#include "engine/system/routes.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

firewall_network firewall_entry(const network_record& record) {
    return {.bridge = record.bridge, .subnet = record.subnet, .internal = record.definition.internal};
}

/// What a worker needs to connect one interface.
struct plug_step {
    veth_request veth;
    std::string bridge;
    ipv4_address address;
    unsigned prefix_length = 0;
    std::optional<ipv4_address> gateway; // of the default route
};

void make_bridge(const network_record& record) {
    netlink_socket netlink;
    int index = netlink.find_link(record.bridge);
    if (index == 0) {
        index = netlink.create_bridge(record.bridge);
        // Without IPv6 of its own a bridge would still answer on fe80:: and expose what the host listens on
        // there.
        write_kernel_file(fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", record.bridge), "1");
        write_kernel_file(fmt::format("/proc/sys/net/ipv4/conf/{}/route_localnet", record.bridge), "1");
    }
    netlink.add_address(index, record.gateway.value, record.subnet.length);
}

void connect(pid_t pid, std::vector<plug_step> steps) {
    netlink_socket netlink;
    for (plug_step& step : steps) {
        step.veth.bridge = netlink.find_link(step.bridge);
        netlink.create_veth(step.veth);
    }
    in_network_namespace(pid, [&] {
        netlink_socket inside;
        for (const plug_step& step : steps) {
            const int index = inside.find_link(step.veth.peer_name);
            inside.add_address(index, step.address.value, step.prefix_length);
            inside.set_up(index);
        }
        for (const plug_step& step : steps)
            if (step.gateway)
                inside.add_default_route(step.gateway->value);
    });
}

/// What a new network must keep clear of.
struct surroundings {
    std::vector<ipv4_subnet> routed;
    std::vector<ipv4_subnet> own; // this host's addresses
};

surroundings look_around() {
    surroundings host;
    for (const routed_subnet& route : routed_subnets())
        host.routed.push_back({.base = {route.base}, .length = route.length});
    for (const std::uint32_t address : host_addresses())
        host.own.push_back({.base = {address}, .length = 32});
    return host;
}

} // namespace

struct network_manager::implementation {
    implementation(executors on, store& records, network_settings wanted)
        : executors_(on), store_(records), settings(std::move(wanted)), names(settings.instance),
          rules(names.table()), rules_turn(on.io), making(on.io),
          dns(on.io, [this](const std::string& container, std::uint16_t type, const std::string& name) {
              return dns_zone{.attachments = attachments, .running = running, .networks = networks}.find(
                  container, type, name);
          }) {}

    void load();
    address_pool& pool_of(const network_record& record);
    network_record draw_up(network_definition wanted, const surroundings& host) const;
    void check_subnet(const network_definition& wanted, const surroundings& host) const;
    std::optional<std::size_t> way_out_of(const attachment& of) const;
    std::vector<firewall_port> firewall_ports(const attachment& of) const;
    std::vector<plug_step> plan_plug(const attachment& of, pid_t pid) const;
    endpoint lease(const endpoint_request& wanted);
    void give_back(const attachment& of);

    /// What the firewall's table must hold.
    firewall_state wanted_rules() const;

    /// Changes the table after the records were. Where it refuses, somebody else has deleted or flushed it:
    /// it is loaded again as the records say. `change` is an lvalue for the same reason as that of
    /// blocking().
    template <typename Change>
    task<> change_rules(Change& change) {
        const auto turn = co_await rules_turn.lock();
        auto work = [this, &change] { change(rules); };
        std::string refused;
        try {
            co_await blocking(executors_.workers, work);
            co_return;
        } catch (const error& failure) {
            refused = failure.what();
        }
        spdlog::warn("{}; the table is made anew", refused);
        auto again = [this, whole = wanted_rules()] { rules.load(whole); };
        co_await blocking(executors_.workers, again);
    }

    /// UDP flows that have come in on these ports go by the rules as they are now.
    task<> turn_flows(const std::vector<firewall_port>& ports);

    executors executors_;
    store& store_;
    network_settings settings;
    host_names names;
    firewall rules; // a worker's while `rules_turn` is held
    async_mutex rules_turn;
    async_mutex making; // one network is made at a time, so no two choose one subnet
    std::map<std::string, network_record> networks; // by name
    std::map<std::string, address_pool> pools;      // by network name
    std::map<std::string, attachment> attachments;  // by container id
    std::set<std::string> running;                  // container ids
    dns_server dns;
};

firewall_state network_manager::implementation::wanted_rules() const {
    firewall_state state;
    for (const auto& [name, record] : networks)
        state.networks.push_back(firewall_entry(record));
    for (const auto& [container, each] : attachments)
        if (running.contains(container))
            for (const firewall_port& port : firewall_ports(each))
                state.ports.push_back(port);
    return state;
}

task<> network_manager::implementation::turn_flows(const std::vector<firewall_port>& ports) {
    std::vector<udp_port> udp;
    for (const firewall_port& each : ports)
        if (each.port.protocol == transport::udp)
            udp.push_back({.address = each.port.host.value, .port = each.port.port});
    if (udp.empty())
        co_return;
    try {
        auto work = [udp] { forget_udp_flows(udp); };
        co_await blocking(executors_.workers, work);
    } catch (const error& failure) {
        // Only who goes on sending from one port waits for the old flow to run out.
        spdlog::warn("{}", failure.what());
    }
}

void network_manager::implementation::load() {
    for (const record& row : store_.load(table::network))
        networks.emplace(row.key, decode_network(row.key, row.value));
    for (const record& row : store_.load(table::lease)) {
        attachment loaded = decode_attachment(row.key, row.value);
        for (const endpoint& each : loaded.endpoints)
            if (const auto network = networks.find(each.network); network != networks.end())
                pool_of(network->second).take(each.address);
        attachments.emplace(row.key, std::move(loaded));
    }
}

address_pool& network_manager::implementation::pool_of(const network_record& record) {
    const auto found = pools.find(record.definition.name);
    if (found != pools.end())
        return found->second;
    return pools
        .emplace(record.definition.name, address_pool(record.subnet, record.gateway, record.definition.range))
        .first->second;
}

/// A subnet that was asked for may be part of a route: the nearer one wins. What holds an address of this
/// host would cut the host off.
void network_manager::implementation::check_subnet(
    const network_definition& wanted, const surroundings& host) const {
    const auto refuse = [&](const std::string& why) {
        throw error(
            error_kind::conflict, fmt::format("create network \"{}\": its subnet {} {}; choose another",
                                      wanted.name, to_string(*wanted.subnet), why));
    };
    for (const auto& [name, other] : networks)
        if (other.subnet.overlaps(*wanted.subnet))
            refuse(fmt::format("overlaps {} of network \"{}\"", to_string(other.subnet), name));
    for (const std::string_view special : {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"}) // RFC 6890
        if (parse_subnet(std::string(special))->overlaps(*wanted.subnet))
            refuse(fmt::format("overlaps {}, which is no network of hosts", special));
    for (const ipv4_subnet& own : host.own)
        if (own.overlaps(*wanted.subnet))
            refuse(fmt::format("holds {}, an address of this host", to_string(own.base)));
}

network_record network_manager::implementation::draw_up(
    network_definition wanted, const surroundings& host) const {
    network_record record;
    if (wanted.subnet) {
        check_subnet(wanted, host);
        record.subnet = *wanted.subnet;
    } else {
        std::vector<ipv4_subnet> routed = host.routed;
        for (const auto& [name, other] : networks)
            routed.push_back(other.subnet);
        const auto chosen = choose_subnet(settings.pools, settings.subnet_length, routed);
        if (!chosen)
            throw error(error_kind::exhausted,
                fmt::format(
                    "create network \"{}\": every subnet of the address pools is in use; remove networks, "
                    "or add a pool under networks.pools in composed.yaml",
                    wanted.name));
        record.subnet = *chosen;
    }
    record.gateway = wanted.gateway.value_or(ipv4_address{record.subnet.base.value + 1});
    record.id = random_identifier();
    record.bridge = names.bridge(record.id);
    record.created = timestamp_now();
    record.definition = std::move(wanted);
    return record;
}

endpoint network_manager::implementation::lease(const endpoint_request& wanted) {
    const auto network = networks.find(wanted.network);
    if (network == networks.end())
        throw error(error_kind::not_found,
            fmt::format("join network \"{}\": there is none of that name", wanted.network));
    address_pool& pool = pool_of(network->second);
    endpoint result{.network = wanted.network,
        .address = {},
        .aliases = wanted.aliases,
        .gateway_priority = wanted.gateway_priority};
    if (wanted.address) {
        if (!pool.take(*wanted.address))
            throw error(error_kind::conflict,
                fmt::format("join network \"{}\": address {} is {}", wanted.network,
                    to_string(*wanted.address),
                    pool.is_host(*wanted.address)
                        ? "taken by another container"
                        : "not a host address of " + to_string(network->second.subnet)));
        result.address = *wanted.address;
        return result;
    }
    const auto chosen = pool.allocate();
    if (!chosen)
        throw error(error_kind::exhausted, fmt::format("join network \"{}\": all addresses of {} are taken",
                                               wanted.network, to_string(network->second.subnet)));
    result.address = *chosen;
    return result;
}

void network_manager::implementation::give_back(const attachment& of) {
    for (const endpoint& each : of.endpoints)
        if (const auto pool = pools.find(each.network); pool != pools.end())
            pool->second.give_back(each.address);
}

/// The interface of the default route: of the networks that lead out the one with the highest priority, or
/// the first. Nothing when all are internal.
std::optional<std::size_t> network_manager::implementation::way_out_of(const attachment& of) const {
    std::optional<std::size_t> way_out;
    for (std::size_t index = 0; index < of.endpoints.size(); ++index) {
        const endpoint& each = of.endpoints[index];
        const auto network = networks.find(each.network);
        if (network == networks.end() || network->second.definition.internal)
            continue;
        if (!way_out || each.gateway_priority > of.endpoints[*way_out].gateway_priority)
            way_out = index;
    }
    return way_out;
}

/// A published port leads to the interface of the default route: answers leave by it, whoever asked.
std::vector<firewall_port> network_manager::implementation::firewall_ports(const attachment& of) const {
    std::vector<firewall_port> ports;
    if (!of.endpoints.empty())
        for (const published_port& port : of.published)
            ports.push_back({.port = port, .container = of.endpoints[way_out_of(of).value_or(0)].address});
    return ports;
}

std::vector<plug_step> network_manager::implementation::plan_plug(const attachment& of, pid_t pid) const {
    std::vector<plug_step> steps;
    const std::optional<std::size_t> way_out = way_out_of(of);
    for (std::size_t index = 0; index < of.endpoints.size(); ++index) {
        const endpoint& each = of.endpoints[index];
        const network_record& network = networks.at(each.network);
        plug_step step{.veth = {.name = names.veth(of.container, static_cast<unsigned>(index), pid),
                           .bridge = 0,
                           .peer_pid = pid,
                           .peer_name = fmt::format("eth{}", index),
                           .peer_mac = mac_for(each.address)},
            .bridge = network.bridge,
            .address = each.address,
            .prefix_length = network.subnet.length,
            .gateway = std::nullopt};
        steps.push_back(std::move(step));
    }
    if (way_out)
        steps[*way_out].gateway = networks.at(of.endpoints[*way_out].network).gateway;
    return steps;
}

network_manager::network_manager(executors on, store& records, network_settings settings)
    : implementation_(std::make_shared<implementation>(on, records, std::move(settings))) {
    implementation_->load();
}

network_manager::~network_manager() = default;

task<> network_manager::start(std::set<std::string> alive) {
    implementation& self = *implementation_;
    self.running = std::move(alive);
    self.dns.start();
    auto change = [state = self.wanted_rules()](firewall& rules) { rules.load(state); };
    co_await self.change_rules(change);

    std::vector<network_record> records = list();
    const host_names names = self.names;
    auto work = [records, names] {
        write_kernel_file("/proc/sys/net/ipv4/ip_forward", "1");
        std::set<std::string> wanted;
        for (const network_record& record : records) {
            make_bridge(record);
            wanted.insert(record.bridge);
        }
        netlink_socket netlink;
        for (const link_info& link : netlink.list_links())
            if (names.is_bridge(link.name) && !wanted.contains(link.name))
                netlink.delete_link(link.name);
    };
    co_await blocking(self.executors_.workers, work);
}

task<network_record> network_manager::ensure(network_definition wanted) {
    implementation& self = *implementation_;
    const auto turn = co_await self.making.lock();
    const std::string name = wanted.name;
    if (const auto there = self.networks.find(name); there != self.networks.end()) {
        network_definition other = there->second.definition;
        other.labels = wanted.labels; // they do not change what the network does
        if (other != wanted)
            throw error(error_kind::conflict,
                fmt::format("network \"{}\" exists with another definition; remove it first", name));
        if (there->second.definition.labels != wanted.labels) {
            there->second.definition.labels = wanted.labels;
            self.store_.put(table::network, name, encode(there->second));
            co_await self.store_.durable();
        }
        auto work = [record = self.networks.at(name)] { make_bridge(record); };
        co_await blocking(self.executors_.workers, work);
        co_return self.networks.at(name);
    }

    auto look = [] { return look_around(); };
    const surroundings host = co_await blocking(self.executors_.workers, look);
    const network_record record = self.draw_up(std::move(wanted), host);
    self.networks.emplace(name, record);
    self.store_.put(table::network, name, encode(record));
    co_await self.store_.durable();
    auto work = [record] { make_bridge(record); };
    co_await blocking(self.executors_.workers, work);
    const firewall_network entry = firewall_entry(record);
    auto change = [entry](firewall& rules) { rules.add_network(entry); };
    co_await self.change_rules(change);
    co_return record;
}

task<> network_manager::remove(std::string name) {
    implementation& self = *implementation_;
    const auto turn = co_await self.making.lock();
    const auto found = self.networks.find(name);
    if (found == self.networks.end())
        co_return;
    std::vector<std::string> members;
    for (const auto& [container, each] : self.attachments)
        for (const endpoint& at : each.endpoints)
            if (at.network == name)
                members.push_back(container.substr(0, 12));
    if (!members.empty())
        throw error(error_kind::conflict, fmt::format("remove network \"{}\": still in use by containers {}",
                                              name, fmt::join(members, ", ")));
    const network_record record = found->second;
    self.networks.erase(found);
    self.pools.erase(name);
    self.store_.erase(table::network, name);
    co_await self.store_.durable();
    const firewall_network entry = firewall_entry(record);
    auto change = [entry](firewall& rules) { rules.remove_network(entry); };
    co_await self.change_rules(change);
    // Off the path of whoever asked: a bridge takes the kernel 36 ms.
    auto work = [bridge = record.bridge] { netlink_socket().delete_link(bridge); };
    spawn(self.executors_.io, "remove bridge " + record.bridge, blocking(self.executors_.workers, work));
}

const network_record* network_manager::find(const std::string& name) const {
    const auto found = implementation_->networks.find(name);
    return found == implementation_->networks.end() ? nullptr : &found->second;
}

std::vector<network_record> network_manager::list() const {
    std::vector<network_record> all;
    all.reserve(implementation_->networks.size());
    for (const auto& [name, record] : implementation_->networks)
        all.push_back(record);
    return all;
}

const attachment& network_manager::reserve(
    const std::string& container, std::vector<endpoint_request> wanted, std::vector<std::string> dns) {
    implementation& self = *implementation_;
    if (const auto there = self.attachments.find(container); there != self.attachments.end())
        return there->second;
    attachment fresh{.container = container, .endpoints = {}, .published = {}, .dns = std::move(dns)};
    try {
        for (const endpoint_request& each : wanted)
            fresh.endpoints.push_back(self.lease(each));
    } catch (...) {
        self.give_back(fresh);
        throw;
    }
    self.store_.put(table::lease, container, encode(fresh));
    return self.attachments.emplace(container, std::move(fresh)).first->second;
}

task<std::vector<port_reservation>> network_manager::publish(
    std::string container, std::vector<port_request> wanted) {
    implementation& self = *implementation_;
    if (!self.attachments.contains(container))
        throw error(error_kind::internal,
            fmt::format("publish ports of container \"{}\": it has no lease", container));
    auto work = [wanted = std::move(wanted)] {
        std::vector<port_reservation> taken;
        for (const port_request& each : wanted)
            taken.push_back(reserve_port(each));
        return taken;
    };
    std::vector<port_reservation> taken = co_await blocking(self.executors_.workers, work);
    const auto found = self.attachments.find(container);
    if (found == self.attachments.end())
        throw error(
            error_kind::conflict, fmt::format("container \"{}\" was removed while it started", container));
    found->second.published.clear();
    for (const port_reservation& each : taken)
        found->second.published.push_back(each.port);
    if (!taken.empty())
        self.store_.put(table::lease, container, encode(found->second));
    co_return taken;
}

task<> network_manager::plug(std::string container, pid_t pid) {
    implementation& self = *implementation_;
    const attachment& mine = self.attachments.at(container);
    const std::vector<firewall_port> ports = self.firewall_ports(mine);
    std::vector<network_record> bridges;
    for (const endpoint& each : mine.endpoints)
        bridges.push_back(self.networks.at(each.network));
    auto work = [pid, bridges, steps = self.plan_plug(mine, pid)] {
        netlink_socket netlink;
        for (const network_record& each : bridges)
            if (netlink.find_link(each.bridge) == 0) // somebody has deleted it
                make_bridge(each);
        connect(pid, steps);
    };
    co_await blocking(self.executors_.workers, work);
    self.running.insert(container);
    if (ports.empty())
        co_return;
    auto change = [ports](firewall& rules) { rules.add_ports(ports); };
    co_await self.change_rules(change);
    co_await self.turn_flows(ports);
}

void network_manager::serve_dns(const std::string& container, unique_fd udp, unique_fd tcp) {
    implementation_->dns.add(container, std::move(udp), std::move(tcp));
}

task<> network_manager::unplug(std::string container) {
    implementation& self = *implementation_;
    self.dns.remove(container);
    if (self.running.erase(container) == 0)
        co_return;
    const auto found = self.attachments.find(container);
    if (found == self.attachments.end())
        co_return;
    const std::vector<firewall_port> ports = self.firewall_ports(found->second);
    if (ports.empty())
        co_return;
    found->second.published.clear();
    self.store_.put(table::lease, container, encode(found->second));
    auto change = [ports](firewall& rules) { rules.remove_ports(ports); };
    co_await self.change_rules(change);
    co_await self.turn_flows(ports);
}

void network_manager::release(const std::string& container) {
    implementation& self = *implementation_;
    self.dns.remove(container);
    self.running.erase(container);
    const auto found = self.attachments.find(container);
    if (found == self.attachments.end())
        return;
    self.give_back(found->second);
    self.attachments.erase(found);
    self.store_.erase(table::lease, container);
}

std::string network_manager::holder_of(const port_request& wanted) const {
    const auto in_the_way = [&](const published_port& port) {
        const bool same_address = port.host == wanted.host || port.host.value == 0 || wanted.host.value == 0;
        return same_address && port.protocol == wanted.protocol && wanted.first != 0 &&
               port.port >= wanted.first && port.port <= wanted.last;
    };
    for (const auto& [container, each] : implementation_->attachments)
        if (std::any_of(each.published.begin(), each.published.end(), in_the_way))
            return container;
    return {};
}

const attachment* network_manager::find_attachment(const std::string& container) const {
    const auto found = implementation_->attachments.find(container);
    return found == implementation_->attachments.end() ? nullptr : &found->second;
}

task<> network_manager::clear_host() {
    implementation& self = *implementation_;
    auto change = [](firewall& rules) { rules.unload(); };
    co_await self.change_rules(change);
    const host_names names = self.names;
    auto work = [names] {
        netlink_socket netlink;
        for (const link_info& link : netlink.list_links())
            if (names.is_ours(link.name))
                netlink.delete_link(link.name);
    };
    co_await blocking(self.executors_.workers, work);
}

} // namespace engine
