#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct nl_sock;
struct nl_msg;

namespace engine {

using mac_address = std::array<std::uint8_t, 6>;

/// A veth pair to make: the near end in this namespace under a bridge, the far end born in another one.
struct veth_request {
    std::string name;
    int bridge = 0;     // interface index of the bridge
    pid_t peer_pid = 0; // a process of the far end's network namespace, alive for the time of the call
    std::string peer_name;
    mac_address peer_mac{};
};

struct link_info {
    int index = 0;
    std::string name;
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

    /// Makes a bridge that is up and gives its index.
    int create_bridge(const std::string& name);

    /// The near end is up, a port of the bridge in hairpin mode (a container reaches its own published port).
    /// A veth is never deleted explicitly: it costs 16 ms under RTNL and goes with its namespace anyway.
    void create_veth(const veth_request& request);

    /// No error when it is gone already.
    void delete_link(const std::string& name);

    void set_up(int index);
    /// No error when the interface has the address already.
    void add_address(int index, std::uint32_t address, unsigned prefix_length);
    void add_default_route(std::uint32_t gateway);

  private:
    struct closer {
        void operator()(nl_sock* socket) const noexcept;
    };
    /// Sends and takes the acknowledgement; 0 or the negative errno of the kernel.
    int exchange(nl_msg* message);

    std::unique_ptr<nl_sock, closer> socket_;
};

} // namespace engine
