#include "engine/network/network_manager.hpp"

#include "engine/network/network_manager_state.hpp"
#include "engine/network/network_options.hpp"
#include "engine/system/conntrack.hpp"
#include "engine/system/crash_point.hpp"
#include "engine/system/identifier.hpp"

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

// Most servers answer sooner, and all names wait meanwhile.
constexpr std::chrono::milliseconds longest_wait_for_names{1000};

firewall_network firewall_entry(const network_record& record) {
    const network_options options = options_of(record.definition);
    return {.bridge = record.bridge,
        .internal = record.definition.internal,
        .masquerade = record.ipv4 && options.masquerade,
        .masquerade6 = record.ipv6 && options.masquerade6};
}

} // namespace

firewall_state network_manager::implementation::wanted_rules() const {
    firewall_state state;
    for (const auto& [name, record] : networks)
        if (!record.bridge.empty())
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
        if (const auto* host = std::get_if<ipv4_address>(&each.port.host);
            host != nullptr && each.port.protocol == transport::udp)
            udp.push_back({.address = host->value, .port = each.port.port});
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
        for (const endpoint& each : loaded.endpoints) {
            const auto network = networks.find(each.network);
            if (network == networks.end())
                continue;
            if (each.ipv4 && network->second.ipv4)
                pool_of(network->second).take(*each.ipv4);
            if (each.ipv6 && network->second.ipv6)
                pool6_of(network->second).take(*each.ipv6);
        }
        keep(row.key, std::move(loaded));
    }
}

const attachment& network_manager::implementation::keep(std::string container, attachment fresh) {
    const auto [kept, inserted] = attachments.emplace(std::move(container), std::move(fresh));
    called.add(kept->second);
    return kept->second;
}

network_manager::network_manager(executors on, store& records, network_settings settings)
    : implementation_(std::make_shared<implementation>(on, records, std::move(settings))) {
    implementation_->load();
}

network_manager::~network_manager() = default;

task<> network_manager::start(std::map<std::string, pid_t> alive) {
    implementation& self = *implementation_;
    self.running = std::move(alive);
    self.dns.start();
    auto load = [&self, state = self.wanted_rules()] { self.rules.load(state); };
    co_await blocking(self.executors_.workers, load);
    co_await self.pass_others();

    std::vector<network_record> records = list();
    const host_names names = self.names;
    auto work = [records, names, ipv6 = self.any_has_ipv6()] {
        set_up_forwarding(ipv6);
        std::set<std::string> wanted;
        for (const network_record& record : records) {
            const std::string parent = options_of(record.definition).parent;
            wanted.insert(record.bridge.empty() ? parent : record.bridge);
            if (record.lent && netlink_socket().find_link(record.bridge) == 0)
                spdlog::warn("network \"{}\": its bridge \"{}\", which is not ours to make, is not there",
                    record.definition.name, record.bridge);
            else if (!parent.empty() && !has_parent(record))
                spdlog::warn("{}", missing_parent(record.definition.name, parent));
            else
                make_link(record, names.alias());
        }
        delete_strays(wanted, names, true);
    };
    co_await blocking(self.executors_.workers, work);
}

/// The kernel tells of all interfaces at once only: who makes 500 networks would have it do so 500 times. A
/// look that began after `asked` has all that was there when the network was asked for.
task<> network_manager::implementation::see_surroundings(std::chrono::steady_clock::time_point asked) {
    if (seen_around >= asked)
        co_return;
    const auto now = std::chrono::steady_clock::now();
    auto look = [this] { return look_around(names); };
    around = co_await blocking(executors_.workers, look);
    seen_around = now;
}

std::shared_ptr<rules_batch> network_manager::implementation::join(const std::string& commands) {
    batch->commands += commands;
    return batch;
}

task<> network_manager::implementation::change_rules(std::shared_ptr<rules_batch> mine) {
    const auto turn = co_await rules_turn.lock();
    if (!mine->applied) {
        batch = std::make_shared<rules_batch>();
        mine->applied = true;
        auto work = [this, &commands = mine->commands] { rules.apply(commands); };
        std::string refused;
        try {
            co_await blocking(executors_.workers, work);
        } catch (const error& failure) {
            refused = failure.what();
        }
        if (!refused.empty()) {
            spdlog::warn("{}; the table is made anew", refused);
            auto again = [this, whole = wanted_rules()] { rules.load(whole); };
            try {
                co_await blocking(executors_.workers, again);
            } catch (const error&) {
                mine->failure = std::current_exception();
            }
        }
    }
    if (mine->failure)
        std::rethrow_exception(mine->failure);
}

/// What leaves makes room: without any left it is waited for.
task<> network_manager::implementation::look_and_try(
    std::chrono::steady_clock::time_point asked, std::function<void()> choose) {
    for (;;) {
        co_await see_surroundings(asked);
        try {
            co_return choose();
        } catch (const error& failure) {
            if (failure.kind() != error_kind::exhausted || !is_leaving())
                throw;
        }
        co_await buried.wait();
        asked = std::chrono::steady_clock::now();
    }
}

task<> network_manager::check(network_outlook wanted) {
    implementation& self = *implementation_;
    const auto asked = std::chrono::steady_clock::now();
    const auto turn = co_await self.making.lock();
    std::function<void()> choose = [&] { self.check_outlook(wanted); };
    co_await self.look_and_try(asked, std::move(choose));
}

task<network_record> network_manager::ensure(network_definition wanted) {
    implementation& self = *implementation_;
    const auto asked = std::chrono::steady_clock::now();
    auto turn = co_await self.making.lock();
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
        auto work = [record = self.networks.at(name), alias = self.names.alias()] {
            make_link(record, alias);
        };
        co_await blocking(self.executors_.workers, work);
        co_return self.networks.at(name);
    }

    const network_options options = options_of(wanted);
    while (self.is_leaving() && // it may be about that very link
           (!options.bridge.empty() || parse_vlan(options.parent)))
        co_await self.buried.wait();
    network_record record;
    std::function<void()> choose = [&] {
        record = self.draw_up(wanted, {.host = self.around, .networks = self.networks});
    };
    co_await self.look_and_try(asked, std::move(choose));
    self.networks.emplace(name, record);
    self.store_.put(table::network, name, encode(record));
    co_await self.store_.durable();
    crash_point("network: its record is durable");
    auto work = [record, alias = self.names.alias(), ipv6 = self.any_has_ipv6()] {
        set_up_forwarding(ipv6);
        make_link(record, alias);
    };
    co_await blocking(self.executors_.workers, work);
    crash_point("network: its bridge is made");
    if (record.bridge.empty())
        co_return record;
    const auto change = self.join(self.rules.adding(firewall_entry(record)));
    turn.release(); // the next may be made meanwhile, and go to the firewall with this one
    co_await self.change_rules(change);
    crash_point("network: the firewall knows it");
    co_return record;
}

bool network_manager::implementation::is_parent(const std::string& interface) const {
    return std::any_of(networks.begin(), networks.end(),
        [&](const auto& each) { return options_of(each.second.definition).parent == interface; });
}

std::vector<std::string> network_manager::implementation::members_of(const std::string& name) const {
    std::vector<std::string> members;
    for (const auto& [container, each] : attachments)
        for (const endpoint& at : each.endpoints)
            if (at.network == name)
                members.push_back(container.substr(0, 12));
    return members;
}

task<> network_manager::remove_if_idle(std::string name) {
    if (!implementation_->networks.contains(name) || !implementation_->members_of(name).empty())
        co_return;
    try {
        co_await remove(std::move(name));
    } catch (const error& taken) {
        spdlog::debug("{}", taken.what()); // somebody has joined it meanwhile
    }
}

task<> network_manager::remove(std::string name) {
    implementation& self = *implementation_;
    auto turn = co_await self.making.lock();
    const auto found = self.networks.find(name);
    if (found == self.networks.end())
        co_return;
    const std::vector<std::string> members = self.members_of(name);
    if (!members.empty())
        throw error(error_kind::conflict, fmt::format("remove network \"{}\": still in use by containers {}",
                                              name, fmt::join(members, ", ")));
    const network_record record = found->second;
    if (record.lent) {
        // Before the record goes: after a crash nobody else would know what of it is ours.
        auto work = [record] { give_back_bridge(record); };
        co_await blocking(self.executors_.workers, work);
        if (!self.members_of(name).empty()) {
            auto again = [record, alias = self.names.alias()] { make_link(record, alias); };
            co_await blocking(self.executors_.workers, again);
            throw error(error_kind::conflict,
                fmt::format("remove network \"{}\": a container has joined it meanwhile", name));
        }
    }
    ++self.leaving;
    const std::shared_ptr<void> left(nullptr, [self = implementation_](void*) {
        --self->leaving;
        self->buried.notify_all();
    });
    self.networks.erase(name);
    self.pools.erase(name);
    self.pools6.erase(name);
    self.store_.erase(table::network, name);
    co_await self.store_.durable();
    crash_point("network: its record has gone");
    std::string link = record.bridge;
    if (link.empty()) {
        link = options_of(record.definition).parent;
        if (!parse_vlan(link) || self.is_parent(link))
            co_return;
    } else {
        const auto change = self.join(self.rules.removing(firewall_entry(record)));
        turn.release();
        co_await self.change_rules(change);
        crash_point("network: the firewall has forgotten it");
    }
    if (record.lent)
        co_return;
    self.doomed.push_back(link);
    if (!std::exchange(self.burying, true))
        spawn(self.executors_.io, "remove links", implementation::bury(implementation_));
}

/// Off the path of whoever asked, and by one worker: a bridge takes the kernel 36 ms, and another at the same
/// time as long again. All in one order (IFLA_GROUP) would be little faster and hold up every other change of
/// the host's interfaces meanwhile.
task<> network_manager::implementation::bury(std::shared_ptr<implementation> self) {
    while (!self->doomed.empty()) {
        constexpr std::size_t most = 16; // half a second: the end of the daemon waits for it
        const auto last =
            self->doomed.begin() + static_cast<std::ptrdiff_t>(std::min(self->doomed.size(), most));
        const std::vector<std::string> some(self->doomed.begin(), last);
        self->doomed.erase(self->doomed.begin(), last);
        auto work = [some, names = self->names] { delete_links(some, names); };
        try {
            co_await blocking(self->executors_.workers, work);
        } catch (const error& failure) {
            spdlog::error("{}; the next start of the daemon tries again", failure.what());
        }
    }
    self->burying = false;
    self->buried.notify_all();
}

task<> network_manager::settle(std::chrono::milliseconds limit) {
    const auto self = implementation_;
    const auto deadline = std::chrono::steady_clock::now() + limit;
    co_await self->dns.stop(std::min(limit, longest_wait_for_names));
    while (self->burying && std::chrono::steady_clock::now() < deadline)
        co_await self->buried.wait_for(std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now()));
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

const attachment& network_manager::reserve(const std::string& container, attachment_request wanted) {
    implementation& self = *implementation_;
    if (const auto there = self.attachments.find(container); there != self.attachments.end())
        return there->second;
    attachment fresh{.container = container,
        .endpoints = {},
        .published = {},
        .dns = std::move(wanted.dns),
        .offers = std::move(wanted.offers),
        .links = std::move(wanted.links),
        .held_back = wanted.held_back};
    try {
        for (const endpoint_request& each : wanted.endpoints)
            fresh.endpoints.push_back(self.lease(each));
    } catch (...) {
        self.give_back(fresh);
        throw;
    }
    self.store_.put(table::lease, container, encode(fresh));
    return self.keep(container, std::move(fresh));
}

task<> network_manager::plug(std::string container, pid_t pid) {
    implementation& self = *implementation_;
    const attachment& mine = self.attachments.at(container);
    const std::vector<firewall_port> ports = self.firewall_ports(mine);
    std::vector<network_record> bridges;
    for (const endpoint& each : mine.endpoints)
        bridges.push_back(self.networks.at(each.network));
    auto work = [pid, bridges, steps = self.plan_plug(mine, pid), alias = self.names.alias()] {
        netlink_socket netlink;
        for (const network_record& each : bridges)
            if (each.bridge.empty() || netlink.find_link(each.bridge) == 0) // somebody has deleted it
                make_link(each, alias);
        connect(pid, steps);
    };
    co_await blocking(self.executors_.workers, work);
    crash_point("network: a container is plugged in");
    self.running[container] = pid;
    if (ports.empty())
        co_return;
    co_await self.change_rules(self.join(self.rules.adding(ports)));
    crash_point("network: its ports are open");
    co_await self.turn_flows(ports);
}

void network_manager::adopt(const std::string& container, pid_t shim) {
    if (const auto found = implementation_->running.find(container); found != implementation_->running.end())
        found->second = shim;
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
    self.draining.erase(container);
    if (found->second.published.empty())
        co_return;
    found->second.published.clear();
    self.store_.put(table::lease, container, encode(found->second));
    if (ports.empty())
        co_return;
    co_await self.change_rules(self.join(self.rules.removing(ports)));
    crash_point("network: its ports are closed");
    co_await self.turn_flows(ports);
}

void network_manager::release(const std::string& container) {
    implementation& self = *implementation_;
    self.dns.remove(container);
    self.running.erase(container);
    self.draining.erase(container);
    const auto found = self.attachments.find(container);
    if (found == self.attachments.end())
        return;
    self.give_back(found->second);
    self.called.remove(found->second);
    self.attachments.erase(found);
    self.store_.erase(table::lease, container);
}

const attachment* network_manager::find_attachment(const std::string& container) const {
    const auto found = implementation_->attachments.find(container);
    return found == implementation_->attachments.end() ? nullptr : &found->second;
}

task<> network_manager::clear_host() {
    implementation& self = *implementation_;
    const auto turn = co_await self.rules_turn.lock();
    const host_names names = self.names;
    auto work = [&self, names, records = list()] {
        self.rules.unload();
        self.others.leave();
        delete_strays({}, names, false);
        for (const network_record& each : records)
            if (each.lent)
                give_back_bridge(each);
    };
    co_await blocking(self.executors_.workers, work);
}

} // namespace engine
