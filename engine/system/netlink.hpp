#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct nl_sock;
struct nl_msg;
struct nlmsghdr;

namespace engine {

using mac_address = std::array<std::uint8_t, 6>;

/// A veth pair to make: the near end in this namespace under a bridge, the far end born in another one.
struct veth_request {
    std::string name;
    int bridge = 0;                 // interface index of the bridge
    std::optional<mac_address> mac; // of the near end; none: the kernel's choice
    pid_t peer_pid = 0; // a process of the far end's network namespace, alive for the time of the call
    std::string peer_name;
    mac_address peer_mac{};
    unsigned mtu = 0;      // of both ends; 0: the kernel's
    bool isolated = false; // reaches the bridge's own address, but no other isolated port
};

/// A macvlan or ipvlan interface to make: born in another network namespace, on an interface of this one.
struct sublink_request {
    std::string kind; // "macvlan" or "ipvlan"
    std::string mode; // of the kind; empty: bridge, l2
    int parent = 0;   // interface index
    pid_t pid = 0;    // a process of the network namespace it is born in, alive for the time of the call
    std::string name;
    mac_address mac{}; // of a macvlan
    unsigned mtu = 0;  // 0: the parent's
};

/// IPv6 addresses as on the wire.
using ipv6_bytes = std::array<std::uint8_t, 16>;

struct link_info {
    int index = 0;
    std::string name;
    bool up = false;
    int master = 0;                         // index of the bridge it is a port of; 0: none
    std::vector<std::uint32_t> addresses;   // IPv4
    std::vector<ipv6_bytes> ipv6_addresses; // IPv6
    std::string alias;                      // what was written to it: IFLA_IFALIAS
    bool is_bridge = false;
    std::vector<unsigned> ipv6_lengths = {}; // of the prefixes of ipv6_addresses, in their order
};

/// One rtnetlink socket, bound to the network namespace of the thread that made it. Every call waits for the
/// kernel's answer (they block, most of them under RTNL) and throws error naming the interface when it says
/// no.
///
/// IPv4 addresses are in host byte order.
class netlink_socket {
  public:
    netlink_socket();

    /// Interface index, or 0 when there is none of that name.
    int find_link(const std::string& name);
    std::vector<link_info> list_links();

    /// Makes a bridge that is up and gives its index; that of the bridge which is there already. `mtu` 0: the
    /// kernel's. The alias tells whose it is where the name does not. Without a `mac` of its own a bridge has
    /// that of one of its ports, and another one when the port goes: neighbours that remember it are cut off.
    int create_bridge(
        const std::string& name, const mac_address& mac, unsigned mtu, const std::string& alias);

    /// The near end is up, a port of the bridge in hairpin mode (a container reaches its own published port).
    /// A veth is never deleted explicitly: it costs 16 ms under RTNL and goes with its namespace anyway.
    void create_veth(const veth_request& request);

    void create_sublink(const sublink_request& request);

    /// An interface of a VLAN on another one, up, with the alias; no error when it is there.
    void create_vlan(const std::string& name, int below, unsigned tag, const std::string& alias);

    /// No error when it is gone already.
    void delete_link(const std::string& name);

    void set_up(int index, bool up = true);
    /// Makes it a port of the bridge, as create_veth() does.
    void set_master(int index, int bridge, bool isolated);
    /// No error when the interface has the address already.
    void add_address(int index, std::uint32_t address, unsigned prefix_length);
    /// Without duplicate address detection: the addresses are leased.
    void add_address(int index, const ipv6_bytes& address, unsigned prefix_length);
    /// No error when it does not have it.
    void remove_address(int index, std::uint32_t address, unsigned prefix_length);
    void remove_address(int index, const ipv6_bytes& address, unsigned prefix_length);
    void add_default_route(std::uint32_t gateway);
    void add_default_route(const ipv6_bytes& gateway);
    /// Out by an interface, where there is no gateway to name.
    void add_default_route_by(int index, bool ipv6);

  private:
    struct closer {
        void operator()(nl_sock* socket) const noexcept;
    };
    /// Sends and takes the acknowledgement; 0 or the negative errno of the kernel.
    int exchange(nl_msg* message);
    /// Gives `take` each of the objects that the kernel answers with.
    void dump(nl_msg* message, const std::function<void(nlmsghdr*)>& take);
    void set_alias(int index, const std::string& alias);
    void set_port_options(int index, bool isolated);

    std::unique_ptr<nl_sock, closer> socket_;
};

} // namespace engine
