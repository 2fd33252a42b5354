#pragma once

#include "compose/model/error.hpp"
#include "engine/network/address_pool.hpp"
#include "engine/network/dns_server.hpp"
#include "engine/network/dns_zone.hpp"
#include "engine/network/firewall.hpp"
#include "engine/network/host_links.hpp"
#include "engine/network/host_names.hpp"
#include "engine/network/name_index.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/network/other_firewalls.hpp"
#include "engine/store/store.hpp"
#include "engine/system/async_mutex.hpp"
#include "engine/system/netlink.hpp"
#include "engine/system/notifier.hpp"
#include "engine/system/routes.hpp"
#include "engine/system/task.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

// What the parts of network_manager share: network_manager.cpp has what is asked of it, network_addresses.cpp
// and network_ports.cpp what it decides about addresses and published ports, network_drift.cpp what it does
// by itself when somebody else has changed the host.
namespace engine {

/// What a new network must keep clear of.
struct surroundings {
    std::vector<ipv4_subnet> routed;
    std::vector<host_address> own;                     // this host's addresses, but for those of our bridges
    bool has_ipv6 = false;                             // its kernel
    std::set<std::string> interfaces;                  // all there are
    std::set<std::string> links;                       // those that are no bridges
    std::map<std::string, lent_bridge> bridges;        // those of others, by name
    std::map<std::string, std::vector<ipv6_lan>> ipv6; // of these: the subnets, with the bridge's own address
};

/// The host and the networks beside which one is made: those that there are, or will be.
struct neighbourhood {
    const surroundings& host;
    const std::map<std::string, network_record>& networks;
};

/// Looks at the host; blocks. Our own bridges hold no address that a network could cut this host off from,
/// also those that are about to go.
surroundings look_around(const host_names& names);

/// Whether the kernel was started with IPv6.
bool kernel_has_ipv6();

/// Where a container's published ports lead.
struct way_in {
    ip_address address;  // of the container
    bool routed = false; // it is reached there itself; nothing of the host's leads to it
};

/// Changes of the firewall's table that go there in one transaction.
struct rules_batch {
    std::string commands;
    bool applied = false;
    std::exception_ptr failure;
};

struct network_manager::implementation {
    implementation(executors on, store& records, network_settings wanted)
        : executors_(on), store_(records), settings(std::move(wanted)), names(settings.instance),
          rules(names.table(), kernel_has_ipv6()), others(names.alias()), rules_turn(on.io), making(on.io),
          buried(on.io),
          dns(on.io, [this](const std::string& container, std::uint16_t type, const std::string& name) {
              return dns_zone{.attachments = attachments,
                  .names = called,
                  .running = running,
                  .networks = networks,
                  .draining = draining}
                  .find(container, type, name);
          }) {}

    void load();
    address_pool<ipv4_subnet>& pool_of(const network_record& record);
    address_pool<ipv6_subnet>& pool6_of(const network_record& record);
    network_record draw_up(network_definition wanted, const neighbourhood& among) const;
    ipv4_lan choose_ipv4(const network_definition& wanted, const neighbourhood& among) const;
    ipv4_lan ipv4_of_bridge(network_definition wanted, const neighbourhood& among) const;
    ipv6_lan choose_ipv6(const network_definition& wanted, const neighbourhood& among) const;
    void check_outlook(const network_outlook& wanted) const;
    std::optional<std::size_t> way_out_of(const attachment& of, bool ipv6) const;
    bool is_held_back(const attachment& of) const { return of.held_back || draining.contains(of.container); }
    std::optional<way_in> published_at(const attachment& of, bool ipv6) const;
    std::vector<firewall_port> firewall_ports(const attachment& of) const;
    std::vector<published_port> open_ports(
        const attachment& of, const std::vector<port_request>& wanted) const;
    std::optional<port_request> bindable(const attachment& of, port_request request) const;
    std::vector<std::string> interfaces_of(const attachment& of) const;
    std::vector<plug_step> plan_plug(const attachment& of, pid_t pid) const;
    endpoint lease(const endpoint_request& wanted);
    void lease_ipv4(endpoint& into, const endpoint_request& wanted, const network_record& network);
    void lease_ipv6(endpoint& into, const endpoint_request& wanted, const network_record& network);
    bool any_has_ipv6() const;
    const attachment& keep(std::string container, attachment fresh); // in memory
    void rename(attachment& of, const renamed_container& to);
    void give_back(const attachment& of);
    std::vector<std::string> members_of(const std::string& network) const;
    bool is_parent(const std::string& interface) const; // of a network

    /// What the firewall's table must hold.
    firewall_state wanted_rules() const;

    /// Joins a change of the table to what goes there with the next transaction, after all that has joined
    /// before.
    std::shared_ptr<rules_batch> join(const std::string& commands);

    /// Returns when the table has changed; whoever comes first takes along what has joined meanwhile. Where
    /// the table refuses, somebody else has deleted or flushed it: it is loaded again as the records say.
    task<> change_rules(std::shared_ptr<rules_batch> batch);

    /// Renews `around` where it is old. While `making` is held.
    task<> see_surroundings(std::chrono::steady_clock::time_point asked);

    /// Has `choose` choose by a look that began after `asked`, and again once what leaves has gone where it
    /// throws error{exhausted}. While `making` is held.
    task<> look_and_try(std::chrono::steady_clock::time_point asked, std::function<void()> choose);

    /// UDP flows that have come in on these ports go by the rules as they are now.
    task<> turn_flows(const std::vector<firewall_port>& ports);

    static task<> watch(std::shared_ptr<implementation> self, repair_listener told);
    static task<> go_round(std::shared_ptr<implementation> self, repair_listener told);
    static task<> bury(std::shared_ptr<implementation> self);
    task<> put_settings_right();
    task<> put_rules_right(const repair_listener& told);
    task<> put_links_right(const repair_listener& told);

    /// Has our traffic pass where others close, and says so once of each.
    task<> pass_others();

    executors executors_;
    store& store_;
    network_settings settings;
    host_names names;
    firewall rules; // a worker's while `rules_turn` is held
    std::shared_ptr<rules_batch> batch = std::make_shared<rules_batch>(); // who changes the table joins it
    other_firewalls others;                                               // likewise
    std::vector<closing_chain> closing;                                   // of others, as they were last seen
    async_mutex rules_turn;
    async_mutex making; // one network is made at a time, so no two choose one subnet
    std::map<std::string, network_record> networks;          // by name
    std::map<std::string, address_pool<ipv4_subnet>> pools;  // by network name
    std::map<std::string, address_pool<ipv6_subnet>> pools6; // likewise
    std::map<std::string, attachment> attachments;           // by container id
    name_index called;                                       // of the attachments
    std::map<std::string, pid_t> running; // container ids, each with its shim; 0: not known yet
    std::set<std::string> draining;       // they end soon, and nobody is led to them
    surroundings around;
    std::chrono::steady_clock::time_point seen_around;
    std::size_t leaving = 0;         // networks whose records have gone and whose bridges are not doomed yet
    std::vector<std::string> doomed; // links that no network has any more
    bool burying = false;
    bool is_leaving() const { return leaving != 0 || burying; }
    notifier buried;
    dns_server dns;
};

} // namespace engine
