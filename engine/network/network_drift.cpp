#include "engine/network/link_audit.hpp"
#include "engine/network/network_manager_state.hpp"
#include "engine/system/file.hpp"
#include "engine/system/network_watch.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace engine {

using compose::error;

namespace {

// A whole `ip link del` or `nft flush ruleset` is over by then, and what we do ourselves is looked at once.
constexpr std::chrono::nanoseconds settling = std::chrono::milliseconds(50);
// While we make many networks ourselves, looking at all of them takes no more than a tenth of the time.
constexpr int idle_share = 10;
constexpr std::chrono::nanoseconds settling_most = std::chrono::milliseconds(500);
// What the kernel does not tell is seen within a minute.
constexpr auto round = std::chrono::seconds(30);

/// One fault, and why it stands if it could not be mended.
struct mended_fault {
    link_fault fault;
    std::string failure;
};

struct wanted_links {
    std::vector<network_record> networks; // beside `bridges`
    std::vector<wanted_bridge> bridges;
    std::vector<wanted_port> ports;
    std::vector<plug_step> plugs; // beside `ports`
    std::string alias;            // of our bridges
};

void mend(const wanted_links& wanted, const link_fault& fault) {
    netlink_socket netlink;
    switch (fault.kind) {
    case link_fault_kind::bridge_gone:
    case link_fault_kind::address_gone:
        make_link(wanted.networks[fault.at], wanted.alias);
        break;
    case link_fault_kind::bridge_down:
        netlink.set_up(netlink.find_link(wanted.bridges[fault.at].bridge));
        break;
    case link_fault_kind::port_gone: {
        const plug_step& step = wanted.plugs[fault.at];
        connect(step.veth.peer_pid, {step});
        break;
    }
    case link_fault_kind::port_astray:
        netlink.set_master(netlink.find_link(wanted.ports[fault.at].veth),
            netlink.find_link(wanted.ports[fault.at].bridge), wanted.plugs[fault.at].veth.isolated);
        break;
    case link_fault_kind::port_down:
        netlink.set_up(netlink.find_link(wanted.ports[fault.at].veth));
        break;
    }
}

std::vector<mended_fault> mend_all(const wanted_links& wanted) {
    std::vector<mended_fault> mended;
    for (const link_fault& fault :
        find_link_faults(wanted.bridges, wanted.ports, netlink_socket().list_links())) {
        mended.push_back({.fault = fault, .failure = {}});
        try {
            mend(wanted, fault);
        } catch (const error& refused) {
            mended.back().failure = refused.what();
        }
    }
    return mended;
}

std::string_view description(link_fault_kind kind) {
    switch (kind) {
    case link_fault_kind::bridge_gone:
        return "its bridge had been deleted";
    case link_fault_kind::bridge_down:
        return "its bridge had been taken down";
    case link_fault_kind::address_gone:
        return "the address of its bridge had been deleted";
    case link_fault_kind::port_gone:
        return "an interface had been deleted";
    case link_fault_kind::port_down:
        return "an interface had been taken down";
    case link_fault_kind::port_astray:
        return "an interface had been taken off its bridge";
    }
    return {};
}

bool is_about_port(link_fault_kind kind) {
    return kind == link_fault_kind::port_gone || kind == link_fault_kind::port_down ||
           kind == link_fault_kind::port_astray;
}

} // namespace

task<> network_manager::implementation::put_rules_right(const repair_listener& told) {
    {
        const auto turn = co_await rules_turn.lock();
        auto work = [this, whole = wanted_rules()] { rules.load(whole); };
        co_await blocking(executors_.workers, work);
    }
    told({.network = {},
        .container = {},
        .what = fmt::format("firewall table \"{}\" had been changed by another program", names.table())});
}

task<> network_manager::implementation::put_links_right(const repair_listener& told) {
    const auto turn = co_await making.lock();
    wanted_links wanted;
    wanted.alias = names.alias();
    for (const auto& [name, record] : networks) {
        if (record.bridge.empty())
            continue;
        wanted.networks.push_back(record);
        wanted.bridges.push_back({.network = name,
            .bridge = record.bridge,
            .lent = record.lent.has_value(),
            .gateway = given_ipv4(record),
            .gateway6 = given_ipv6(record)});
    }
    for (const auto& [container, shim] : running) {
        const auto found = attachments.find(container);
        if (shim == 0 || found == attachments.end())
            continue;
        for (plug_step& step : plan_plug(found->second, shim)) {
            if (step.driver != network_driver::bridge)
                continue; // it is in the container alone, and goes with its parent
            wanted.ports.push_back({.container = container, .veth = step.veth.name, .bridge = step.bridge});
            wanted.plugs.push_back(std::move(step));
        }
    }
    auto work = [wanted] { return mend_all(wanted); };
    const std::vector<mended_fault> mended = co_await blocking(executors_.workers, work);
    for (const mended_fault& each : mended) {
        network_repair repair{
            .network = {}, .container = {}, .what = std::string(description(each.fault.kind))};
        if (is_about_port(each.fault.kind)) {
            const plug_step& step = wanted.plugs[each.fault.at];
            repair.container = wanted.ports[each.fault.at].container;
            const auto still = running.find(repair.container);
            if (still == running.end() || still->second != step.veth.peer_pid)
                continue; // it has ended meanwhile, and its interfaces with it
        } else {
            repair.network = wanted.bridges[each.fault.at].network;
        }
        if (each.failure.empty())
            told(repair);
        else
            spdlog::warn("{}; {}", repair.what, each.failure);
    }
}

task<> network_manager::implementation::pass_others() {
    std::vector<closing_chain> found;
    try {
        const auto turn = co_await rules_turn.lock();
        auto work = [this] { return others.pass(); };
        found = co_await blocking(executors_.workers, work);
    } catch (const error& failure) {
        spdlog::warn(
            "{}; where others close what is forwarded, containers do not reach the outside", failure.what());
        co_return;
    }
    const auto known = [this](const closing_chain& each) {
        return std::any_of(closing.begin(), closing.end(), [&](const closing_chain& other) {
            return describe(other) == describe(each) && other.family == each.family;
        });
    };
    for (const closing_chain& each : found)
        if (!known(each))
            spdlog::info(
                "{} closes what is forwarded; a rule in \"{} {} {}\" lets the containers' traffic through",
                describe(each), each.family, each.table, each.name);
    closing = std::move(found);
}

task<> network_manager::implementation::put_settings_right() {
    std::vector<network_record> bridges;
    for (const auto& [name, record] : networks)
        bridges.push_back(record);
    auto work = [bridges, ipv6 = any_has_ipv6()] {
        set_up_forwarding(ipv6);
        for (const network_record& each : bridges)
            set_up_bridge(each);
    };
    co_await blocking(executors_.workers, work);
}

task<> network_manager::implementation::watch(std::shared_ptr<implementation> self, repair_listener told) {
    network_watch host(self->executors_.io, self->names.table(), [&of = *self](std::string_view link) {
        return of.names.is_ours(link) || std::any_of(of.networks.begin(), of.networks.end(),
                                             [&](const auto& each) { return each.second.bridge == link; });
    });
    boost::asio::steady_timer pause(self->executors_.io);
    std::chrono::nanoseconds took{};
    // Where it is not known whether there was a change, none is told of.
    const repair_listener nobody = [](const network_repair&) {};
    for (;;) {
        network_change change = co_await host.changed();
        pause.expires_after(std::clamp(took * idle_share, settling, settling_most));
        co_await pause.async_wait(boost::asio::use_awaitable);
        const auto began = std::chrono::steady_clock::now();
        try {
            if (change.firewall)
                co_await self->put_rules_right(told);
            else if (change.lost)
                co_await self->put_rules_right(nobody);
            if (change.links)
                co_await self->put_links_right(told);
            if (change.others)
                co_await self->pass_others();
        } catch (const error& failure) {
            spdlog::error("put the network right: {}", failure.what());
        }
        took = std::chrono::steady_clock::now() - began;
    }
}

task<> network_manager::implementation::go_round(std::shared_ptr<implementation> self, repair_listener told) {
    boost::asio::steady_timer pause(self->executors_.io);
    for (;;) {
        pause.expires_after(round);
        co_await pause.async_wait(boost::asio::use_awaitable);
        try {
            co_await self->put_settings_right();
            co_await self->put_links_right(told);
        } catch (const error& failure) {
            spdlog::error("look after the network: {}", failure.what());
        }
    }
}

void network_manager::guard(repair_listener told) {
    boost::asio::io_context& io = implementation_->executors_.io;
    spawn(io, "watch over the host's network", implementation::watch(implementation_, told));
    spawn(io, "look after the host's network", implementation::go_round(implementation_, std::move(told)));
}

} // namespace engine
