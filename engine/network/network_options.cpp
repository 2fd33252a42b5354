#include "engine/network/network_options.hpp"

#include "compose/model/error.hpp"
#include "compose/model/nearest.hpp"
#include "compose/model/units.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

constexpr std::array<std::string_view, 4> macvlan_modes{"bridge", "private", "vepa", "passthru"};
constexpr std::array<std::string_view, 3> ipvlan_modes{"l2", "l3", "l3s"};

// Linux refuses an IPv4 MTU below 68 (RFC 791), and a veth takes 65,535 at most.
constexpr std::int64_t least_mtu = 68;
constexpr std::int64_t most_mtu = 65535;

class option_reader {
  public:
    explicit option_reader(const network_definition& of) : of_(of) {}

    network_options read() {
        for (const auto& [key, value] : of_.options)
            take(key, value);
        if (of_.driver != network_driver::bridge && options_.parent.empty())
            throw error(error_kind::invalid,
                fmt::format("network \"{}\": driver {} needs driver_opts.parent, the interface of this host "
                            "that leads to the wire, like eth0",
                    of_.name, to_string(of_.driver)));
        return options_;
    }

  private:
    [[noreturn]] void refuse(const std::string& key, const std::string& why) const {
        throw error(
            error_kind::invalid, fmt::format("network \"{}\": driver_opts.{} {}", of_.name, key, why));
    }

    bool truth(const std::string& key, const std::string& value) const {
        const auto read = compose::parse_bool(value == "1" ? "true" : value == "0" ? "false" : value);
        if (!read)
            refuse(key, fmt::format("is \"{}\"; write true or false", value));
        return *read;
    }

    std::string interface(const std::string& key, const std::string& value, std::size_t most) const {
        const bool plain = std::all_of(value.begin(), value.end(), [](unsigned char c) {
            return std::isgraph(c) != 0 && c != '/' && c != ':' && c != '"' && c != '{' && c != '}';
        });
        if (value.empty() || value.size() > most || !plain || value == "." || value == "..")
            refuse(key, fmt::format("is {:?}, no name of an interface (up to {} characters)", value, most));
        return value;
    }

    unsigned mtu(const std::string& key, const std::string& value) const {
        const auto number = compose::parse_integer(value);
        if (!number || *number < least_mtu || *number > most_mtu)
            refuse(key, fmt::format("is \"{}\", no number from {} to {}", value, least_mtu, most_mtu));
        return static_cast<unsigned>(*number);
    }

    template <std::size_t Size>
    std::string mode(const std::string& key, const std::string& value,
        const std::array<std::string_view, Size>& known) const {
        if (std::find(known.begin(), known.end(), value) == known.end())
            refuse(key, fmt::format("is \"{}\"; there are {}{}", value, fmt::join(known, ", "),
                            compose::did_you_mean(value, {known.begin(), known.end()})));
        return value;
    }

    void take(const std::string& key, const std::string& value) {
        if (key == "com.docker.network.driver.mtu" || key == "mtu")
            options_.mtu = mtu(key, value);
        else if (key == "com.docker.network.container_iface_prefix")
            options_.interface_prefix = interface(key, value, IFNAMSIZ - 4);
        else if (of_.driver == network_driver::bridge)
            take_of_bridge(key, value);
        else if (key == "parent")
            options_.parent = interface(key, value, IFNAMSIZ - 1);
        else if (key == "macvlan_mode" && of_.driver == network_driver::macvlan)
            options_.mode = mode(key, value, macvlan_modes);
        else if (key == "ipvlan_mode" && of_.driver == network_driver::ipvlan)
            options_.mode = mode(key, value, ipvlan_modes);
        else
            refuse(key, fmt::format("is none of driver {}; there are mtu, parent and {}_mode",
                            to_string(of_.driver), to_string(of_.driver)));
    }

    void take_of_bridge(const std::string& key, const std::string& value) {
        const std::string_view own = "com.docker.network.bridge.";
        const std::string name = key.starts_with(own) ? key.substr(own.size()) : std::string();
        if (name == "name")
            options_.bridge = interface(key, value, IFNAMSIZ - 1);
        else if (name == "enable_icc")
            options_.between_members = truth(key, value);
        else if (name == "enable_ip_masquerade")
            options_.masquerade = options_.masquerade6 = truth(key, value);
        else if (name == "gateway_mode_ipv4")
            options_.masquerade = !(options_.routed = is_routed(key, value));
        else if (name == "gateway_mode_ipv6")
            options_.masquerade6 = !(options_.routed6 = is_routed(key, value));
        else if (name == "host_binding_ipv4") {
            options_.published_on = parse_ipv4(value);
            if (!options_.published_on)
                refuse(key, fmt::format("is \"{}\", no IPv4 address", value));
        } else if (name != "default_bridge")
            refuse(key,
                "is not known; there are com.docker.network.driver.mtu, "
                "com.docker.network.container_iface_prefix and com.docker.network.bridge.{name, enable_icc, "
                "enable_ip_masquerade, host_binding_ipv4, gateway_mode_ipv4, gateway_mode_ipv6}");
    }

    bool is_routed(const std::string& key, const std::string& value) const {
        if (value != "nat" && value != "routed")
            refuse(key, fmt::format("is \"{}\"; there are nat and routed{}", value,
                            compose::did_you_mean(value, {"nat", "routed"})));
        return value == "routed";
    }

    const network_definition& of_;
    network_options options_;
};

} // namespace

std::optional<vlan_name> parse_vlan(const std::string& interface) {
    constexpr std::int64_t most_tag = 4094; // IEEE 802.1Q
    const auto dot = interface.rfind('.');
    if (dot == std::string::npos || dot == 0)
        return std::nullopt;
    const auto tag = compose::parse_integer(interface.substr(dot + 1));
    if (!tag || *tag < 1 || *tag > most_tag)
        return std::nullopt;
    return vlan_name{.on = interface.substr(0, dot), .tag = static_cast<unsigned>(*tag)};
}

std::string missing_parent(const std::string& network, const std::string& parent) {
    const auto vlan = parse_vlan(parent);
    return fmt::format("network \"{}\": this host has no interface \"{}\"{}, which driver_opts.parent names",
        network, parent, vlan ? fmt::format(" and no \"{}\" to make it on", vlan->on) : "");
}

network_options options_of(const network_definition& network) {
    return option_reader(network).read();
}

} // namespace engine
