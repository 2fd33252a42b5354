#include "engine/network/host_links.hpp"

#include "compose/model/error.hpp"
#include "engine/network/network_options.hpp"
#include "engine/system/fd.hpp"
#include "engine/system/file.hpp"
#include "engine/system/network_namespace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

namespace engine {

namespace fs = std::filesystem;
using compose::error;
using compose::error_kind;

namespace {

constexpr std::string_view ipv6_settings = "/proc/sys/net/ipv6/conf";

void forbid_ipv6(const std::string& interface) {
    if (fs::exists(ipv6_settings))
        keep_kernel_setting(fmt::format("{}/{}/disable_ipv6", ipv6_settings, interface), "1");
}

std::string localnet_of(const std::string& bridge) {
    return fmt::format("/proc/sys/net/ipv4/conf/{}/route_localnet", bridge);
}

/// As sysctl(8) writes it: net.ipv4.conf.eth0.rp_filter; a slash stands for a dot of the interface's name.
fs::path path_of_sysctl(const std::string& name, const std::string& interface) {
    std::string path = name;
    std::replace(path.begin(), path.end(), '.', '/');
    if (const auto at = path.find("IFNAME"); at != std::string::npos)
        path.replace(at, 6, interface);
    return "/proc/sys/" + path;
}

void make_interface(netlink_socket& netlink, plug_step& step) {
    if (step.driver == network_driver::bridge) {
        step.veth.bridge = netlink.find_link(step.bridge);
        netlink.create_veth(step.veth);
        return;
    }
    step.sublink.parent = netlink.find_link(step.parent);
    if (step.sublink.parent == 0)
        throw error(error_kind::not_found, missing_parent(step.network, step.parent));
    netlink.create_sublink(step.sublink);
}

/// The hardware address of a macvlan is taken as long as the namespace of the former run is being cleared
/// away, which the kernel does in its own time.
void bring_up(netlink_socket& inside, int index) {
    constexpr auto pause = std::chrono::milliseconds(20);
    constexpr int attempts = 100;
    for (int left = attempts;; --left) {
        try {
            return inside.set_up(index);
        } catch (const error& failure) {
            if (failure.kind() != error_kind::conflict || left == 0)
                throw;
        }
        std::this_thread::sleep_for(pause);
    }
}

/// The same whenever the bridge is made again: what containers remember of it stays true. 02:62 is no
/// beginning of a container's.
mac_address mac_of_bridge(std::string_view network_id) {
    const std::uint64_t hash = stable_hash(network_id);
    const auto byte = [hash](unsigned shift) { return static_cast<std::uint8_t>(hash >> shift & 0xffU); };
    return {0x02, 0x62, byte(24), byte(16), byte(8), byte(0)};
}

/// What is asked of a bridge that is used as it is.
void check_lent(const network_record& record, int index) {
    if (index == 0)
        throw error(error_kind::not_found,
            fmt::format("network \"{}\": its bridge \"{}\", which is not ours to make, is not there; make it "
                        "again, or remove the network",
                record.definition.name, record.bridge));
    constexpr std::size_t limit = 16;
    const std::string off = fmt::format("{}/{}/disable_ipv6", ipv6_settings, record.bridge);
    if (record.ipv6 && read_file_if_there(off, limit).value_or("").starts_with('1'))
        throw error(error_kind::conflict,
            fmt::format("network \"{0}\": enable_ipv6: its bridge \"{1}\" is not ours and has IPv6 switched "
                        "off; if you want it: sysctl net.ipv6.conf.{1}.disable_ipv6=0",
                record.definition.name, record.bridge));
}

void give_addresses(netlink_socket& inside, const plug_step& step) {
    const int index = inside.find_link(step.interface);
    if (step.ipv6)
        // A router's announcements are none of a container's business: its route is ours.
        keep_kernel_setting(fmt::format("{}/{}/accept_ra", ipv6_settings, step.interface), "0");
    else
        forbid_ipv6(step.interface);
    if (step.ipv4)
        inside.add_address(index, step.ipv4->address.value, step.ipv4->prefix_length);
    if (step.ipv6)
        inside.add_address(index, step.ipv6->address.bytes, step.ipv6->prefix_length);
    constexpr unsigned link_local_length = 16; // RFC 3927
    constexpr unsigned link_local_length6 = 64;
    for (const ip_address& each : step.link_local)
        if (const auto* four = std::get_if<ipv4_address>(&each))
            inside.add_address(index, four->value, link_local_length);
        else
            inside.add_address(index, std::get<ipv6_address>(each).bytes, link_local_length6);
    for (const auto& [name, value] : step.sysctls)
        write_kernel_file(path_of_sysctl(name, step.interface), value);
    bring_up(inside, index);
}

void give_routes(netlink_socket& inside, const plug_step& step) {
    const int index = inside.find_link(step.interface);
    if (step.ipv4 && step.ipv4->gateway)
        step.route_by_interface ? inside.add_default_route_by(index, false)
                                : inside.add_default_route(step.ipv4->gateway->value);
    if (step.ipv6 && step.ipv6->gateway)
        step.route_by_interface ? inside.add_default_route_by(index, true)
                                : inside.add_default_route(step.ipv6->gateway->bytes);
}

/// "eth0.42" is made where it is not there, as Docker does it.
void make_parent(const network_record& record, const std::string& alias) {
    const std::string parent = options_of(record.definition).parent;
    netlink_socket netlink;
    if (netlink.find_link(parent) != 0)
        return;
    const auto vlan = parse_vlan(parent);
    const int below = vlan ? netlink.find_link(vlan->on) : 0;
    if (below == 0)
        throw error(error_kind::not_found, missing_parent(record.definition.name, parent));
    netlink.create_vlan(parent, below, vlan->tag, alias);
}

} // namespace

bool has_parent(const network_record& record) {
    const std::string parent = options_of(record.definition).parent;
    const auto vlan = parse_vlan(parent);
    netlink_socket netlink;
    return netlink.find_link(parent) != 0 || (vlan && netlink.find_link(vlan->on) != 0);
}

void make_link(const network_record& record, const std::string& alias) {
    if (record.bridge.empty())
        return make_parent(record, alias);
    netlink_socket netlink;
    int index = netlink.find_link(record.bridge);
    if (record.lent) {
        check_lent(record, index);
        netlink.set_up(index);
    } else if (index == 0) {
        index = netlink.create_bridge(
            record.bridge, mac_of_bridge(record.id), options_of(record.definition).mtu, alias);
    }
    set_up_bridge(record);
    if (const auto address = given_ipv4(record))
        netlink.add_address(index, address->value, record.ipv4->subnet.length);
    if (const auto address = given_ipv6(record))
        netlink.add_address(index, address->bytes, record.ipv6->subnet.length);
}

void give_back_bridge(const network_record& record) {
    netlink_socket netlink;
    const int index = record.lent ? netlink.find_link(record.bridge) : 0;
    if (index == 0)
        return;
    if (const auto address = given_ipv4(record))
        netlink.remove_address(index, address->value, record.ipv4->subnet.length);
    if (const auto address = given_ipv6(record))
        netlink.remove_address(index, address->bytes, record.ipv6->subnet.length);
    if (!record.lent->route_localnet)
        keep_kernel_setting(localnet_of(record.bridge), "0");
    if (!record.lent->up)
        netlink.set_up(index, false);
}

void delete_links(const std::vector<std::string>& bridges, const host_names& names) {
    netlink_socket netlink;
    for (const link_info& link : netlink.list_links())
        if (std::find(bridges.begin(), bridges.end(), link.name) != bridges.end() &&
            (names.is_bridge(link.name) || link.alias == names.alias()))
            netlink.delete_link(link.name);
}

void delete_strays(const std::set<std::string>& wanted, const host_names& names, bool only_bridges) {
    netlink_socket netlink;
    for (const link_info& link : netlink.list_links())
        if (((only_bridges ? names.is_bridge(link.name) : names.is_ours(link.name)) ||
                link.alias == names.alias()) &&
            !wanted.contains(link.name))
            netlink.delete_link(link.name);
}

void set_up_bridge(const network_record& record) {
    if (record.bridge.empty())
        return;
    keep_kernel_setting(localnet_of(record.bridge), "1");
    if (record.lent)
        return;
    if (record.ipv6) {
        keep_kernel_setting(fmt::format("{}/{}/disable_ipv6", ipv6_settings, record.bridge), "0");
        keep_kernel_setting(fmt::format("{}/{}/accept_ra", ipv6_settings, record.bridge), "0");
    } else {
        // Without IPv6 of its own a bridge would still answer on fe80:: and expose what the host listens on
        // there.
        forbid_ipv6(record.bridge);
    }
}

void set_up_forwarding(bool ipv6) {
    keep_kernel_setting("/proc/sys/net/ipv4/ip_forward", "1");
    const fs::path all = fs::path(ipv6_settings) / "all" / "forwarding";
    if (!ipv6 || read_file_if_there(all, 16).value_or("1").starts_with('1'))
        return;
    // A host that routes takes no announcements any more unless told to (accept_ra 2): one that has its own
    // route by them would lose it.
    for (const auto& each : fs::directory_iterator(ipv6_settings)) {
        const std::string name = each.path().filename();
        const bool interface =
            name != "all" && name != "default"; // those would be inherited by what others make
        if (interface && read_file_if_there(each.path() / "accept_ra", 16).value_or("").starts_with('1'))
            keep_kernel_setting((each.path() / "accept_ra").native(), "2");
    }
    keep_kernel_setting(all.native(), "1");
}

void connect(pid_t pid, std::vector<plug_step> steps) {
    netlink_socket netlink;
    for (plug_step& step : steps)
        make_interface(netlink, step);
    in_network_namespace(pid, [&] {
        netlink_socket inside;
        for (const plug_step& step : steps)
            give_addresses(inside, step);
        for (const plug_step& step : steps)
            give_routes(inside, step);
    });
}

} // namespace engine
