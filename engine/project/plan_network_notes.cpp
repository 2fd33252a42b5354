#include "engine/project/launch_builder.hpp"
#include "engine/project/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace engine {

namespace {

class network_notes {
  public:
    network_notes(const up_request& wanted, const observed_project& now) : wanted_(wanted), now_(now) {}

    std::vector<std::string> take() {
        std::set<std::string> used;
        for (const std::string& name : wanted_.services) {
            const compose::service& service = wanted_.project.services.at(name);
            for (const auto& [key, how] : service.networks)
                used.insert(key);
            without_own_network(service);
            if (!service.networks.empty() && !service.ports.empty())
                ports(service);
        }
        for (const std::string& key : used)
            if (const compose::network& network = wanted_.project.networks.at(key); network.external)
                of_external(key, network);
        return std::move(notes_);
    }

  private:
    /// What decides where its ports lead.
    struct way {
        std::string name;
        std::string driver;
        int priority = 0;
        int gateway_priority = 0;
        bool internal = false;
        bool ipv4 = true;
        bool ipv6 = false;
        bool routed = false; // gateway_mode_ipv4
        bool routed6 = false;
    };

    void no_effect(const std::string& path, bool given, std::string_view why) {
        if (given)
            notes_.push_back(fmt::format("{} has no effect: {}", path, why));
    }

    void without_own_network(const compose::service& of) {
        const std::string path = fmt::format("services.{}.", of.name);
        const bool links = !of.links.empty() || !of.external_links.empty();
        if (of.network_mode == "host") {
            no_effect(path + "ports", !of.ports.empty(),
                "with network_mode: host its programs listen on the host itself");
        } else if (of.network_mode == "none") {
            constexpr std::string_view why = "with network_mode: none it has no network";
            no_effect(path + "ports", !of.ports.empty(), why);
            no_effect(path + "mac_address", !of.mac_address.empty(), why);
            no_effect(path + "dns", !of.dns.empty(), why);
            no_effect(path + "dns_search", !of.dns_search.empty(), why);
            no_effect(path + "dns_opt", !of.dns_opt.empty(), why);
            no_effect(path + "links", links, why);
        } else if (joins_network(of)) {
            const std::string why = fmt::format("it has that of network_mode: {}", of.network_mode);
            no_effect(path + "dns_search", !of.dns_search.empty(), why);
            no_effect(path + "dns_opt", !of.dns_opt.empty(), why);
            no_effect(path + "expose", !of.expose.empty(), why);
        }
    }

    way way_by(const std::string& key, const compose::service_network& how) const {
        const compose::network& network = wanted_.project.networks.at(key);
        way made{.name = network.name,
            .driver = network.driver.empty() ? "bridge" : network.driver,
            .priority = how.priority,
            .gateway_priority = how.gw_priority,
            .internal = network.internal,
            .ipv4 = network.enable_ipv4,
            .ipv6 = network.enable_ipv6};
        const std::map<std::string, std::string>* options = &network.driver_opts;
        if (const auto there = now_.networks.find(network.name);
            network.external && there != now_.networks.end()) {
            made.driver = to_string(there->second.driver);
            made.internal = there->second.internal;
            made.ipv4 = there->second.ipv4;
            made.ipv6 = there->second.ipv6;
            options = &there->second.options;
        }
        const auto is_routed = [&](const std::string& option) {
            const auto found = options->find("com.docker.network.bridge." + option);
            return found != options->end() && found->second == "routed";
        };
        made.routed = is_routed("gateway_mode_ipv4");
        made.routed6 = is_routed("gateway_mode_ipv6");
        return made;
    }

    /// As network_manager::publish() takes them.
    void ports(const compose::service& of) {
        std::vector<way> ways;
        for (const auto& [key, how] : of.networks)
            ways.push_back(way_by(key, how));
        std::stable_sort(
            ways.begin(), ways.end(), [](const way& a, const way& b) { return a.priority > b.priority; });
        std::erase_if(ways, [](const way& each) { return each.internal; });
        const std::string path = fmt::format("services.{}.ports", of.name);
        if (ways.empty())
            return no_effect(path, true, "all of its networks are internal");
        const auto out_by = [&](bool way::*family) {
            const way* out = nullptr;
            for (const way& each : ways)
                if (each.*family && (out == nullptr || each.gateway_priority > out->gateway_priority))
                    out = &each;
            return out;
        };
        const way* four = out_by(&way::ipv4);
        const way* six = out_by(&way::ipv6);
        const auto bridged = [](const way* each) { return each != nullptr && each->driver == "bridge"; };
        const way* out = four == nullptr ? six : four;
        if (!bridged(four) && !bridged(six))
            return no_effect(path, out != nullptr,
                fmt::format(
                    "its way out is network \"{}\" of driver {}, on whose wire it has an address of its "
                    "own; its ports are reached there",
                    out == nullptr ? "" : out->name, out == nullptr ? "" : out->driver));
        for (const compose::port& each : of.ports) {
            const bool is_ipv6 = each.host_ip.find(':') != std::string::npos;
            const std::string which = fmt::format("{} {}:{}", path, each.host_ip, each.published);
            const bool is_named = !each.host_ip.empty() && each.host_ip != "0.0.0.0" && each.host_ip != "::";
            if (!is_ipv6 && !bridged(four))
                no_effect(which, !each.host_ip.empty(),
                    "the container has no IPv4; publish it on an address of IPv6, or on none");
            else if (is_ipv6 ? bridged(six) && six->routed6 : four->routed)
                no_effect(which, is_named,
                    "its network is routed: the port would be open at the container's own address, to all or "
                    "none");
        }
    }

    void of_external(const std::string& key, const compose::network& of) {
        const std::string path = fmt::format("networks.{}.", key);
        constexpr std::string_view why = "an external network is made elsewhere";
        no_effect(path + "driver", !of.driver.empty(), why);
        no_effect(path + "driver_opts", !of.driver_opts.empty(), why);
        no_effect(path + "internal", of.internal, why);
        no_effect(path + "attachable", of.attachable, why);
        no_effect(path + "enable_ipv4", !of.enable_ipv4, why);
        no_effect(path + "enable_ipv6", of.enable_ipv6, why);
        no_effect(path + "ipam", !of.pools.empty() || !of.ipam_driver.empty(), why);
        no_effect(path + "labels", !of.labels.empty(), why);
    }

    const up_request& wanted_;
    const observed_project& now_;
    std::vector<std::string> notes_;
};

} // namespace

std::vector<std::string> networks_without_effect(const up_request& wanted, const observed_project& now) {
    return network_notes(wanted, now).take();
}

} // namespace engine
