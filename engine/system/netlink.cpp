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
#include <map>

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

/// The order to make an interface, which is up at once; its attributes are to follow.
message_ptr make_new_link() {
    message_ptr message = make_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    ifinfomsg header{};
    header.ifi_family = AF_UNSPEC;
    header.ifi_flags = IFF_UP;
    header.ifi_change = IFF_UP;
    append(message, header);
    return message;
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

std::uint32_t macvlan_mode(std::string_view name) {
    return name == "private"    ? MACVLAN_MODE_PRIVATE
           : name == "vepa"     ? MACVLAN_MODE_VEPA
           : name == "passthru" ? MACVLAN_MODE_PASSTHRU
                                : MACVLAN_MODE_BRIDGE;
}

std::uint16_t ipvlan_mode(std::string_view name) {
    return name == "l3" ? IPVLAN_MODE_L3 : name == "l3s" ? IPVLAN_MODE_L3S : IPVLAN_MODE_L2;
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

void netlink_socket::dump(nl_msg* message, const std::function<void(nlmsghdr*)>& take) {
    ::nl_complete_msg(socket_.get(), message);
    const std::uint32_t sequence = ::nlmsg_hdr(message)->nlmsg_seq;
    if (::nl_send(socket_.get(), message) < 0)
        refuse(-EIO, "list", "network interfaces");
    for (;;) {
        sockaddr_nl from{};
        unsigned char* buffer = nullptr;
        int left = ::nl_recv(socket_.get(), &from, &buffer, nullptr);
        if (left <= 0)
            refuse(-EIO, "list", "network interfaces");
        const std::unique_ptr<unsigned char, decltype(&::free)> owner(buffer, &::free);
        for (auto* answer = reinterpret_cast<nlmsghdr*>(buffer); ::nlmsg_ok(answer, left);
             answer = ::nlmsg_next(answer, &left)) {
            if (answer->nlmsg_seq != sequence)
                continue;
            if (answer->nlmsg_type == NLMSG_DONE)
                return;
            if (answer->nlmsg_type == NLMSG_ERROR)
                refuse(static_cast<nlmsgerr*>(::nlmsg_data(answer))->error, "list", "network interfaces");
            take(answer);
        }
    }
}

std::vector<link_info> netlink_socket::list_links() {
    std::map<int, link_info> links;
    const auto ask_links = make_message(RTM_GETLINK, NLM_F_DUMP);
    append(ask_links, ifinfomsg{});
    ::nla_put_u32(ask_links.get(), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    dump(ask_links.get(), [&](nlmsghdr* answer) {
        const auto* header = static_cast<const ifinfomsg*>(::nlmsg_data(answer));
        const nlattr* name = ::nlmsg_find_attr(answer, sizeof(*header), IFLA_IFNAME);
        const nlattr* master = ::nlmsg_find_attr(answer, sizeof(*header), IFLA_MASTER);
        const nlattr* alias = ::nlmsg_find_attr(answer, sizeof(*header), IFLA_IFALIAS);
        const nlattr* details = ::nlmsg_find_attr(answer, sizeof(*header), IFLA_LINKINFO);
        const nlattr* kind = details == nullptr ? nullptr
                                                : ::nla_find(static_cast<nlattr*>(::nla_data(details)),
                                                      ::nla_len(details), IFLA_INFO_KIND);
        if (name == nullptr)
            return;
        links[header->ifi_index] = {.index = header->ifi_index,
            .name = ::nla_get_string(name),
            .up = (header->ifi_flags & IFF_UP) != 0,
            .master = master == nullptr ? 0 : static_cast<int>(::nla_get_u32(master)),
            .addresses = {},
            .ipv6_addresses = {},
            .alias = alias == nullptr ? "" : ::nla_get_string(alias),
            .is_bridge = kind != nullptr && std::string_view(::nla_get_string(kind)) == "bridge"};
    });
    const auto ask_addresses = make_message(RTM_GETADDR, NLM_F_DUMP);
    append(ask_addresses, ifaddrmsg{}); // of both families
    dump(ask_addresses.get(), [&](nlmsghdr* answer) {
        const auto* header = static_cast<const ifaddrmsg*>(::nlmsg_data(answer));
        const bool ipv6 = header->ifa_family == AF_INET6;
        // IPv6 has IFA_LOCAL for the near end of a tunnel alone.
        const nlattr* local = ::nlmsg_find_attr(answer, sizeof(*header), ipv6 ? IFA_ADDRESS : IFA_LOCAL);
        const auto found = links.find(static_cast<int>(header->ifa_index));
        if (local == nullptr || found == links.end())
            return;
        if (!ipv6) {
            found->second.addresses.push_back(ntohl(::nla_get_u32(local)));
        } else if (::nla_len(local) == sizeof(ipv6_bytes)) {
            std::memcpy(
                found->second.ipv6_addresses.emplace_back().data(), ::nla_data(local), sizeof(ipv6_bytes));
            found->second.ipv6_lengths.push_back(header->ifa_prefixlen);
        }
    });
    std::vector<link_info> all;
    all.reserve(links.size());
    for (auto& [index, link] : links)
        all.push_back(std::move(link));
    return all;
}

int netlink_socket::create_bridge(
    const std::string& name, const mac_address& mac, unsigned mtu, const std::string& alias) {
    const auto message = make_new_link();
    put_text(message, IFLA_IFNAME, name);
    ::nla_put(message.get(), IFLA_ADDRESS, static_cast<int>(mac.size()), mac.data());
    if (mtu != 0)
        ::nla_put_u32(message.get(), IFLA_MTU, mtu);
    {
        const nest info(message, IFLA_LINKINFO);
        put_text(message, IFLA_INFO_KIND, "bridge");
    }
    const int result = exchange(message.get());
    if (result < 0 && result != -EEXIST)
        refuse(result, "create bridge", name);
    const int index = find_link(name);
    if (result == 0)
        set_alias(index, alias);
    return index;
}

void netlink_socket::set_alias(int index, const std::string& alias) {
    // The kernel takes it of an interface that is there, not with the order to make one.
    const auto message = make_message(RTM_SETLINK, 0);
    ifinfomsg header{};
    header.ifi_family = AF_UNSPEC;
    header.ifi_index = index;
    append(message, header);
    put_text(message, IFLA_IFALIAS, alias);
    if (const int result = exchange(message.get()); result < 0)
        refuse(result, "mark network interface", std::to_string(index));
}

void netlink_socket::create_veth(const veth_request& request) {
    const auto message = make_new_link();
    put_text(message, IFLA_IFNAME, request.name);
    ::nla_put_u32(message.get(), IFLA_MASTER, static_cast<std::uint32_t>(request.bridge));
    if (request.mac)
        ::nla_put(message.get(), IFLA_ADDRESS, static_cast<int>(request.mac->size()), request.mac->data());
    if (request.mtu != 0)
        ::nla_put_u32(message.get(), IFLA_MTU, request.mtu);
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
        if (request.mtu != 0)
            ::nla_put_u32(message.get(), IFLA_MTU, request.mtu);
    }
    if (const int result = exchange(message.get()); result < 0)
        refuse(result, "create network interface", request.name);
    set_port_options(find_link(request.name), request.isolated);
}

void netlink_socket::create_sublink(const sublink_request& request) {
    const auto message = make_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    append(message, ifinfomsg{});
    put_text(message, IFLA_IFNAME, request.name);
    ::nla_put_u32(message.get(), IFLA_LINK, static_cast<std::uint32_t>(request.parent));
    ::nla_put_u32(message.get(), IFLA_NET_NS_PID, static_cast<std::uint32_t>(request.pid));
    if (request.mtu != 0)
        ::nla_put_u32(message.get(), IFLA_MTU, request.mtu);
    const bool macvlan = request.kind == "macvlan";
    if (macvlan)
        ::nla_put(message.get(), IFLA_ADDRESS, static_cast<int>(request.mac.size()), request.mac.data());
    {
        const nest info(message, IFLA_LINKINFO);
        put_text(message, IFLA_INFO_KIND, request.kind);
        const nest data(message, IFLA_INFO_DATA);
        if (macvlan)
            ::nla_put_u32(message.get(), IFLA_MACVLAN_MODE, macvlan_mode(request.mode));
        else
            ::nla_put_u16(message.get(), IFLA_IPVLAN_MODE, ipvlan_mode(request.mode));
    }
    if (const int result = exchange(message.get()); result < 0)
        refuse(result,
            result == -EOPNOTSUPP
                ? fmt::format("the kernel has no {}: create network interface", request.kind)
                : fmt::format("create {} network interface", request.kind),
            request.name);
}

void netlink_socket::create_vlan(const std::string& name, int below, unsigned tag, const std::string& alias) {
    const auto message = make_new_link();
    put_text(message, IFLA_IFNAME, name);
    ::nla_put_u32(message.get(), IFLA_LINK, static_cast<std::uint32_t>(below));
    {
        const nest info(message, IFLA_LINKINFO);
        put_text(message, IFLA_INFO_KIND, "vlan");
        const nest data(message, IFLA_INFO_DATA);
        ::nla_put_u16(message.get(), IFLA_VLAN_ID, static_cast<std::uint16_t>(tag));
    }
    const int result = exchange(message.get());
    if (result < 0 && result != -EEXIST)
        refuse(result,
            result == -EOPNOTSUPP ? "the kernel has no VLANs: create network interface"
                                  : "create VLAN interface",
            name);
    if (result == 0)
        set_alias(find_link(name), alias);
}

void netlink_socket::set_port_options(int index, bool isolated) {
    const auto port = make_message(RTM_SETLINK, 0);
    ifinfomsg bridge_port{};
    bridge_port.ifi_family = AF_BRIDGE;
    bridge_port.ifi_index = index;
    append(port, bridge_port);
    {
        const nest options(port, IFLA_PROTINFO | NLA_F_NESTED);
        ::nla_put_u8(port.get(), IFLA_BRPORT_MODE, 1); // hairpin
        if (isolated)
            ::nla_put_u8(port.get(), IFLA_BRPORT_ISOLATED, 1);
    }
    if (const int result = exchange(port.get()); result < 0)
        refuse(result, "set the bridge options of network interface", std::to_string(index));
}

void netlink_socket::set_master(int index, int bridge, bool isolated) {
    const auto message = make_message(RTM_SETLINK, 0);
    ifinfomsg header{};
    header.ifi_family = AF_UNSPEC;
    header.ifi_index = index;
    append(message, header);
    ::nla_put_u32(message.get(), IFLA_MASTER, static_cast<std::uint32_t>(bridge));
    if (const int result = exchange(message.get()); result < 0)
        refuse(result, "put under its bridge network interface", std::to_string(index));
    set_port_options(index, isolated);
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

void netlink_socket::set_up(int index, bool up) {
    const auto message = make_message(RTM_NEWLINK, 0);
    ifinfomsg header{};
    header.ifi_family = AF_UNSPEC;
    header.ifi_index = index;
    header.ifi_flags = up ? IFF_UP : 0;
    header.ifi_change = IFF_UP;
    append(message, header);
    if (const int result = exchange(message.get()); result < 0)
        refuse(
            result, up ? "bring up network interface" : "take down network interface", std::to_string(index));
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

void netlink_socket::add_address(int index, const ipv6_bytes& address, unsigned prefix_length) {
    const auto message = make_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    ifaddrmsg header{};
    header.ifa_family = AF_INET6;
    header.ifa_prefixlen = static_cast<std::uint8_t>(prefix_length);
    header.ifa_flags = IFA_F_NODAD;
    header.ifa_index = static_cast<std::uint32_t>(index);
    append(message, header);
    ::nla_put(message.get(), IFA_LOCAL, sizeof(address), address.data());
    ::nla_put(message.get(), IFA_ADDRESS, sizeof(address), address.data());
    if (const int result = exchange(message.get()); result < 0 && result != -EEXIST)
        refuse(result, "add an IPv6 address to network interface", std::to_string(index));
}

namespace {

/// Of the order to delete an address.
message_ptr address_message(unsigned char family, int index, unsigned prefix_length) {
    message_ptr message = make_message(RTM_DELADDR, 0);
    ifaddrmsg header{};
    header.ifa_family = family;
    header.ifa_prefixlen = static_cast<std::uint8_t>(prefix_length);
    header.ifa_index = static_cast<std::uint32_t>(index);
    append(message, header);
    return message;
}

} // namespace

void netlink_socket::remove_address(int index, std::uint32_t address, unsigned prefix_length) {
    const auto message = address_message(AF_INET, index, prefix_length);
    ::nla_put_u32(message.get(), IFA_LOCAL, htonl(address));
    if (const int result = exchange(message.get()); result < 0 && result != -EADDRNOTAVAIL)
        refuse(result, "remove an address from network interface", std::to_string(index));
}

void netlink_socket::remove_address(int index, const ipv6_bytes& address, unsigned prefix_length) {
    const auto message = address_message(AF_INET6, index, prefix_length);
    ::nla_put(message.get(), IFA_LOCAL, sizeof(address), address.data());
    if (const int result = exchange(message.get()); result < 0 && result != -EADDRNOTAVAIL)
        refuse(result, "remove an IPv6 address from network interface", std::to_string(index));
}

namespace {

message_ptr default_route(unsigned char family) {
    message_ptr message = make_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    rtmsg header{};
    header.rtm_family = family;
    header.rtm_table = RT_TABLE_MAIN;
    header.rtm_protocol = RTPROT_BOOT;
    header.rtm_scope = RT_SCOPE_UNIVERSE;
    header.rtm_type = RTN_UNICAST;
    append(message, header);
    return message;
}

} // namespace

void netlink_socket::add_default_route(std::uint32_t gateway) {
    const auto message = default_route(AF_INET);
    ::nla_put_u32(message.get(), RTA_GATEWAY, htonl(gateway));
    if (const int result = exchange(message.get()); result < 0)
        refuse(result, "add route", "default");
}

void netlink_socket::add_default_route(const ipv6_bytes& gateway) {
    const auto message = default_route(AF_INET6);
    ::nla_put(message.get(), RTA_GATEWAY, sizeof(gateway), gateway.data());
    if (const int result = exchange(message.get()); result < 0)
        refuse(result, "add IPv6 route", "default");
}

void netlink_socket::add_default_route_by(int index, bool ipv6) {
    const auto message = default_route(ipv6 ? AF_INET6 : AF_INET);
    ::nla_put_u32(message.get(), RTA_OIF, static_cast<std::uint32_t>(index));
    if (const int result = exchange(message.get()); result < 0)
        refuse(result, "add route", "default");
}

} // namespace engine
