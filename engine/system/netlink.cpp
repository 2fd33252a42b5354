#include "engine/system/netlink.hpp"

#include "engine/system/fd.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include <cerrno>
#include <cstring>
#include <optional>

namespace engine {

namespace {

struct message_deleter {
    void operator()(nl_msg* message) const noexcept { ::nlmsg_free(message); }
};
using message_ptr = std::unique_ptr<nl_msg, message_deleter>;

message_ptr make_message(int type, int flags) {
    message_ptr message(::nlmsg_alloc_simple(type, NLM_F_REQUEST | flags));
    if (!message)
        throw compose::error(compose::error_kind::exhausted, "allocate netlink message: out of memory");
    return message;
}

template <typename Header>
void append(const message_ptr& message, const Header& header) {
    ::nlmsg_append(message.get(), const_cast<Header*>(&header), sizeof(header), NLMSG_ALIGNTO);
}

// Opens a nested attribute for the lifetime of the object.
class nest {
  public:
    nest(const message_ptr& message, int type)
        : message_(message), start_(::nla_nest_start(message.get(), type)) {}
    nest(const nest&) = delete;
    nest& operator=(const nest&) = delete;
    ~nest() { ::nla_nest_end(message_.get(), start_); }

  private:
    const message_ptr& message_;
    nlattr* start_;
};

void put_text(const message_ptr& message, int type, const std::string& text) {
    ::nla_put_string(message.get(), type, text.c_str());
}

[[noreturn]] void refuse(int code, std::string_view what, std::string_view object) {
    errno = -code;
    throw_errno(what, object);
}

} // namespace

void netlink_socket::closer::operator()(nl_sock* socket) const noexcept {
    ::nl_socket_free(socket);
}

netlink_socket::netlink_socket() : socket_(::nl_socket_alloc()) {
    if (!socket_ || ::nl_connect(socket_.get(), NETLINK_ROUTE) < 0)
        throw compose::error(compose::error_kind::internal, "open netlink socket: refused by the kernel");
}

int netlink_socket::exchange(nl_msg* message) {
    ::nl_complete_msg(socket_.get(), message);
    nlmsghdr* header = ::nlmsg_hdr(message);
    header->nlmsg_flags |= NLM_F_ACK;
    if (::nl_send(socket_.get(), message) < 0)
        return -EIO;
    // Read by hand: libnl folds the kernel's errno into its own, coarser codes.
    for (;;) {
        sockaddr_nl from{};
        unsigned char* buffer = nullptr;
        const int size = ::nl_recv(socket_.get(), &from, &buffer, nullptr);
        if (size <= 0)
            return -EIO;
        const std::unique_ptr<unsigned char, decltype(&::free)> owner(buffer, &::free);
        int left = size;
        for (auto* answer = reinterpret_cast<nlmsghdr*>(buffer); ::nlmsg_ok(answer, left);
             answer = ::nlmsg_next(answer, &left))
            if (answer->nlmsg_type == NLMSG_ERROR && answer->nlmsg_seq == header->nlmsg_seq)
                return static_cast<nlmsgerr*>(::nlmsg_data(answer))->error;
    }
}

int netlink_socket::find_link(const std::string& name) {
    return static_cast<int>(::if_nametoindex(name.c_str()));
}

std::vector<link_info> netlink_socket::list_links() {
    std::vector<link_info> links;
    const std::unique_ptr<struct if_nameindex, decltype(&::if_freenameindex)> all(
        ::if_nameindex(), &::if_freenameindex);
    if (!all)
        throw_errno("list", "network interfaces");
    for (const auto* entry = all.get(); entry->if_index != 0; ++entry)
        links.push_back({.index = static_cast<int>(entry->if_index), .name = entry->if_name});
    return links;
}

int netlink_socket::create_bridge(const std::string& name) {
    const auto message = make_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    ifinfomsg header{};
    header.ifi_family = AF_UNSPEC;
    header.ifi_flags = IFF_UP;
    header.ifi_change = IFF_UP;
    append(message, header);
    put_text(message, IFLA_IFNAME, name);
    {
        const nest info(message, IFLA_LINKINFO);
        put_text(message, IFLA_INFO_KIND, "bridge");
    }
    if (const int result = exchange(message.get()); result < 0)
        refuse(result, "create bridge", name);
    return find_link(name);
}

void netlink_socket::create_veth(const veth_request& request) {
    const auto message = make_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    ifinfomsg header{};
    header.ifi_family = AF_UNSPEC;
    header.ifi_flags = IFF_UP;
    header.ifi_change = IFF_UP;
    append(message, header);
    put_text(message, IFLA_IFNAME, request.name);
    ::nla_put_u32(message.get(), IFLA_MASTER, static_cast<std::uint32_t>(request.bridge));
    {
        const nest info(message, IFLA_LINKINFO);
        put_text(message, IFLA_INFO_KIND, "veth");
        const nest data(message, IFLA_INFO_DATA);
        const nest peer(message, VETH_INFO_PEER);
        ifinfomsg far{};
        far.ifi_family = AF_UNSPEC;
        append(message, far);
        put_text(message, IFLA_IFNAME, request.peer_name);
        ::nla_put_u32(message.get(), IFLA_NET_NS_PID, static_cast<std::uint32_t>(request.peer_pid));
        ::nla_put(
            message.get(), IFLA_ADDRESS, static_cast<int>(request.peer_mac.size()), request.peer_mac.data());
    }
    if (const int result = exchange(message.get()); result < 0)
        refuse(result, "create network interface", request.name);

    const auto port = make_message(RTM_SETLINK, 0);
    ifinfomsg bridge_port{};
    bridge_port.ifi_family = AF_BRIDGE;
    bridge_port.ifi_index = find_link(request.name);
    append(port, bridge_port);
    {
        const nest options(port, IFLA_PROTINFO | NLA_F_NESTED);
        ::nla_put_u8(port.get(), IFLA_BRPORT_MODE, 1);
    }
    if (const int result = exchange(port.get()); result < 0)
        refuse(result, "set hairpin mode of", request.name);
}

void netlink_socket::delete_link(const std::string& name) {
    const auto message = make_message(RTM_DELLINK, 0);
    ifinfomsg header{};
    header.ifi_family = AF_UNSPEC;
    header.ifi_index = find_link(name);
    if (header.ifi_index == 0)
        return;
    append(message, header);
    if (const int result = exchange(message.get()); result < 0 && result != -ENODEV)
        refuse(result, "delete network interface", name);
}

void netlink_socket::set_up(int index) {
    const auto message = make_message(RTM_NEWLINK, 0);
    ifinfomsg header{};
    header.ifi_family = AF_UNSPEC;
    header.ifi_index = index;
    header.ifi_flags = IFF_UP;
    header.ifi_change = IFF_UP;
    append(message, header);
    if (const int result = exchange(message.get()); result < 0)
        refuse(result, "bring up network interface", std::to_string(index));
}

void netlink_socket::add_address(int index, std::uint32_t address, unsigned prefix_length) {
    const auto message = make_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    ifaddrmsg header{};
    header.ifa_family = AF_INET;
    header.ifa_prefixlen = static_cast<std::uint8_t>(prefix_length);
    header.ifa_index = static_cast<std::uint32_t>(index);
    append(message, header);
    const std::uint32_t wire = htonl(address);
    const std::uint32_t broadcast =
        prefix_length >= 31 ? wire : htonl(address | (0xffffffffU >> prefix_length));
    ::nla_put_u32(message.get(), IFA_LOCAL, wire);
    ::nla_put_u32(message.get(), IFA_ADDRESS, wire);
    ::nla_put_u32(message.get(), IFA_BROADCAST, broadcast);
    if (const int result = exchange(message.get()); result < 0 && result != -EEXIST)
        refuse(result, "add an address to network interface", std::to_string(index));
}

void netlink_socket::add_default_route(std::uint32_t gateway) {
    const auto message = make_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    rtmsg header{};
    header.rtm_family = AF_INET;
    header.rtm_table = RT_TABLE_MAIN;
    header.rtm_protocol = RTPROT_BOOT;
    header.rtm_scope = RT_SCOPE_UNIVERSE;
    header.rtm_type = RTN_UNICAST;
    append(message, header);
    ::nla_put_u32(message.get(), RTA_GATEWAY, htonl(gateway));
    if (const int result = exchange(message.get()); result < 0)
        refuse(result, "add route", "default");
}

} // namespace engine
