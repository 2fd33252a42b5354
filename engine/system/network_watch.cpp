#include "engine/system/network_watch.hpp"

#include "engine/system/fd.hpp"
#include "engine/system/file.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

namespace engine {

namespace asio = boost::asio;

namespace {

unique_fd listen_to(int protocol, std::initializer_list<int> groups) {
    unique_fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (!socket)
        throw_errno("open", "netlink socket");
    sockaddr_nl any{};
    any.nl_family = AF_NETLINK;
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) != 0)
        throw_errno("bind", "netlink socket");
    // The kernel tells of everybody's changes, object by object; what does not fit while we are busy is lost.
    const int room = 8 << 20;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    for (const int group : groups)
        if (::setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0)
            throw_errno("listen to", "changes of the host's network");
    return socket;
}

/// Every nftables object names its table in its first attribute.
std::string_view text_of(nlmsghdr* message, int header, int type) {
    const nlattr* found = ::nlmsg_find_attr(message, header, type);
    if (found == nullptr || ::nla_len(found) == 0)
        return {};
    std::string_view text(
        static_cast<const char*>(::nla_data(found)), static_cast<std::size_t>(::nla_len(found)));
    return text.substr(0, text.find('\0'));
}

} // namespace

struct network_watch::implementation {
    implementation(asio::io_context& io, std::string table, std::function<bool(std::string_view)> is_ours)
        : table_(std::move(table)), is_ours_(std::move(is_ours)),
          links_(listen_to(NETLINK_ROUTE, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR})),
          rules_(listen_to(NETLINK_NETFILTER, {NFNLGRP_NFTABLES})), either_(io) {
        self_ = read_file_if_there("/proc/self/comm", 64).value_or("");
        self_.resize(std::min(self_.find('\n'), self_.size()));
        unique_fd both(::epoll_create1(EPOLL_CLOEXEC));
        if (!both)
            throw_errno("open", "epoll");
        for (const int each : {links_.get(), rules_.get()}) {
            epoll_event wanted{};
            wanted.events = EPOLLIN;
            if (::epoll_ctl(both.get(), EPOLL_CTL_ADD, each, &wanted) != 0)
                throw_errno("watch", "netlink socket");
        }
        either_.assign(both.release());
    }

    /// Reads all there is and gives `take` each message; false when some were lost.
    template <typename Take>
    bool drain(const unique_fd& socket, Take take) {
        bool whole = true;
        for (;;) {
            const ssize_t size = ::recv(socket.get(), buffer_.data(), buffer_.size(), MSG_TRUNC);
            if (size < 0 && errno == EINTR)
                continue;
            if (size < 0 && errno == ENOBUFS) {
                whole = false;
                continue;
            }
            if (size <= 0)
                return whole;
            whole = whole && static_cast<std::size_t>(size) <= buffer_.size();
            int left = static_cast<int>(std::min(static_cast<std::size_t>(size), buffer_.size()));
            for (auto* each = reinterpret_cast<nlmsghdr*>(buffer_.data()); ::nlmsg_ok(each, left);
                 each = ::nlmsg_next(each, &left))
                take(each);
        }
    }

    /// IPv6 addresses have no label with their interface's name.
    static std::string_view interface_of(nlmsghdr* message) {
        const std::string_view label = text_of(message, sizeof(ifaddrmsg), IFA_LABEL);
        const auto* header = static_cast<const ifaddrmsg*>(::nlmsg_data(message));
        static std::array<char, IF_NAMESIZE> name;
        if (!label.empty() || ::if_indextoname(header->ifa_index, name.data()) == nullptr)
            return label;
        return name.data();
    }

    bool is_link_of_ours(nlmsghdr* message) const {
        switch (message->nlmsg_type) {
        case RTM_NEWLINK:
        case RTM_DELLINK:
            return is_ours_(text_of(message, sizeof(ifinfomsg), IFLA_IFNAME));
        case RTM_DELADDR:
            return is_ours_(interface_of(message));
        default:
            return false;
        }
    }

    /// A transaction is told object by object; what closes it says whose it was.
    void hear_of_rules(nlmsghdr* message) {
        if (message->nlmsg_type >> 8U != NFNL_SUBSYS_NFTABLES)
            return;
        if ((message->nlmsg_type & 0xffU) == NFT_MSG_NEWGEN) {
            // By name: the number is that of a thread, and in the host's numbering where we have another.
            const bool by_us = text_of(message, sizeof(nfgenmsg), NFTA_GEN_PROC_NAME) == self_;
            heard_.firewall = heard_.firewall || (touched_ && !by_us);
            heard_.others = heard_.others || (others_touched_ && !by_us);
            touched_ = others_touched_ = false;
            return;
        }
        const auto* header = static_cast<const nfgenmsg*>(::nlmsg_data(message));
        const bool ip = header->nfgen_family == NFPROTO_IPV4 || header->nfgen_family == NFPROTO_IPV6;
        if (ip && text_of(message, sizeof(*header), NFTA_TABLE_NAME) == table_)
            touched_ = true;
        else if (ip || header->nfgen_family == NFPROTO_INET)
            others_touched_ = true;
    }

    network_change look() {
        if (!drain(links_, [this](nlmsghdr* each) { heard_.links = heard_.links || is_link_of_ours(each); }))
            heard_.links = true;
        const bool before = heard_.firewall;
        if (!drain(rules_, [this](nlmsghdr* each) { hear_of_rules(each); })) {
            // What closed one transaction may be lost, and then the next one's says whose both were.
            heard_.firewall = before;
            heard_.lost = heard_.others = true;
            touched_ = others_touched_ = false;
        }
        return std::exchange(heard_, {});
    }

    std::string table_;
    std::function<bool(std::string_view)> is_ours_;
    std::string self_; // this program's name, as the kernel gives it
    unique_fd links_;
    unique_fd rules_;
    asio::posix::stream_descriptor either_;
    network_change heard_;
    bool touched_ = false; // our table, in the transaction that is being told
    bool others_touched_ = false;
    alignas(nlmsghdr) std::array<std::byte, 65536> buffer_{};
};

network_watch::network_watch(
    asio::io_context& io, std::string table, std::function<bool(std::string_view)> is_ours)
    : implementation_(std::make_shared<implementation>(io, std::move(table), std::move(is_ours))) {}

network_watch::~network_watch() = default;

task<network_change> network_watch::changed() {
    const auto self = implementation_;
    for (;;) {
        const network_change heard = self->look();
        if (heard.links || heard.firewall || heard.others || heard.lost)
            co_return heard;
        co_await self->either_.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    }
}

} // namespace engine
