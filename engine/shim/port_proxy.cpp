#include "engine/shim/port_proxy.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

namespace engine {

namespace {

// Who has more clients than that over IPv6 gives the container IPv6. Others wait in the socket's queue.
constexpr std::size_t most_connections = 512;
constexpr std::size_t most_flows = 256; // of one port: a flood of addresses drops its own
constexpr std::size_t most_kept = 64U << 10U;
constexpr std::int64_t flow_limit = 60'000'000'000; // as long as conntrack keeps a flow with answers
constexpr int reads_a_turn = 16;

void close_fd(int& fd) {
    if (fd >= 0)
        ::close(std::exchange(fd, -1));
}

std::int64_t monotonic_now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

bool is_same(const sockaddr_in6& left, const sockaddr_in6& right) {
    return left.sin6_port == right.sin6_port &&
           std::memcmp(&left.sin6_addr, &right.sin6_addr, sizeof left.sin6_addr) == 0;
}

struct target_address {
    explicit target_address(const forward_target& to) {
        auto* four = reinterpret_cast<sockaddr_in*>(&bytes);
        auto* six = reinterpret_cast<sockaddr_in6*>(&bytes);
        if (::inet_pton(AF_INET, to.address.c_str(), &four->sin_addr) == 1) {
            four->sin_family = AF_INET;
            four->sin_port = htons(static_cast<std::uint16_t>(to.port));
            size = sizeof *four;
        } else if (::inet_pton(AF_INET6, to.address.c_str(), &six->sin6_addr) == 1) {
            six->sin6_family = AF_INET6;
            six->sin6_port = htons(static_cast<std::uint16_t>(to.port));
            size = sizeof *six;
        }
    }

    sockaddr_storage bytes{};
    socklen_t size = 0; // 0: no address
};

} // namespace

port_proxy::~port_proxy() {
    stop();
    close_fd(own_);
}

void port_proxy::add(int socket, const forward_target& to) {
    ports_.push_back({.socket = socket, .to = to});
}

void port_proxy::start(int host) {
    host_ = host;
    own_ = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    started_ = true;
    const int on = 1;
    for (const port& each : ports_)
        if (each.to.udp)
            ::setsockopt(each.socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
}

std::vector<int> port_proxy::sockets() const {
    std::vector<int> all;
    for (const port& each : ports_)
        all.push_back(each.socket);
    return all;
}

void port_proxy::stop() {
    started_ = false;
    for (connection& each : connections_)
        drop(each);
    for (flow& each : flows_)
        close_fd(each.socket);
    for (port& each : ports_)
        close_fd(each.socket);
    connections_.clear();
    flows_.clear();
    ports_.clear();
}

void port_proxy::watch(poller& turn) {
    if (!started_)
        return;
    connections_.remove_if([](const connection& each) { return each.ends[0] < 0; });
    for (port& each : ports_) {
        port* const from = &each;
        if (!accepting_)
            break;
        if (each.to.udp)
            turn.watch(each.socket, POLLIN, [this, from](short) { receive(*from); });
        else if (connections_.size() < most_connections)
            turn.watch(each.socket, POLLIN, [this, from](short) { accept(*from); });
    }
    for (connection& each : connections_)
        watch(turn, each);
    for (flow& each : flows_) {
        flow* const of = &each;
        turn.watch(each.socket, POLLIN, [this, of](short) { answer(*of); });
    }
}

/// A socket of the host's namespace on its way to the container.
int port_proxy::connect_to(const forward_target& to) const {
    const target_address target(to);
    if (target.size == 0 || host_ < 0 || own_ < 0 || ::setns(host_, CLONE_NEWNET) != 0)
        return -1;
    int fd = ::socket(
        target.bytes.ss_family, (to.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ::setns(own_, CLONE_NEWNET);
    if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&target.bytes), target.size) != 0 &&
        errno != EINPROGRESS)
        close_fd(fd);
    return fd;
}

// --- TCP

void port_proxy::accept(port& from) {
    const int client = ::accept4(from.socket, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
        return;
    const int container = connect_to(from.to);
    if (container < 0) {
        ::close(client);
        return;
    }
    const int on = 1;
    for (const int end : {client, container})
        ::setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection fresh;
    fresh.ends[0] = client;
    fresh.ends[1] = container;
    connections_.push_back(std::move(fresh));
}

void port_proxy::watch(poller& turn, connection& each) {
    connection* const of = &each;
    if (each.connecting) {
        turn.watch(each.ends[1], POLLOUT, [this, of](short) {
            int failure = 0;
            socklen_t size = sizeof failure;
            ::getsockopt(of->ends[1], SOL_SOCKET, SO_ERROR, &failure, &size);
            of->connecting = false;
            if (failure != 0)
                drop(*of);
        });
        turn.watch(each.ends[0], 0, [this, of](short) { drop(*of); });
        return;
    }
    for (const int end : {0, 1}) {
        const direction& in = each.ways[end];
        const direction& out = each.ways[1 - end];
        const bool reads = !in.ended && in.kept.empty();
        const short events = static_cast<short>((reads ? POLLIN : 0) | (out.kept.empty() ? 0 : POLLOUT));
        // With nothing to do a hang-up would be told again and again: it is seen with the next byte.
        if (events == 0)
            continue;
        turn.watch(each.ends[end], events, [this, of, end, events](short ready) {
            if (of->ends[0] >= 0 && (events & POLLIN) != 0 && (ready & ~POLLOUT) != 0)
                read(*of, end);
            if (of->ends[0] >= 0 && (events & POLLOUT) != 0 && (ready & ~POLLIN) != 0)
                write(*of, 1 - end);
        });
    }
}

/// What one end sends; the other gets it at once, or when it can take it.
void port_proxy::read(connection& of, int way) {
    direction& here = of.ways[way];
    char bytes[most_kept];
    const ssize_t got = ::recv(of.ends[way], bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0)
        return drop(of);
    if (got == 0)
        here.ended = true;
    else
        here.kept.assign(bytes, static_cast<std::size_t>(got));
    write(of, way);
}

void port_proxy::write(connection& of, int way) {
    direction& here = of.ways[way];
    const int to = of.ends[1 - way];
    while (to >= 0 && !here.kept.empty()) {
        const ssize_t sent = ::send(to, here.kept.data(), here.kept.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0)
            return drop(of);
        here.kept.erase(0, static_cast<std::size_t>(sent));
    }
    if (here.ended && !here.closed) {
        here.closed = true;
        ::shutdown(to, SHUT_WR);
    }
    if (of.ways[0].closed && of.ways[1].closed)
        drop(of);
}

void port_proxy::drop(connection& of) {
    close_fd(of.ends[0]);
    close_fd(of.ends[1]);
}

// --- UDP

port_proxy::flow* port_proxy::flow_of(port& from, const sockaddr_in6& client, const in6_pktinfo& at) {
    for (flow& each : flows_)
        if (each.of == &from && is_same(each.client, client))
            return &each;
    if (from.flows >= most_flows)
        return nullptr;
    const int socket = connect_to(from.to);
    if (socket < 0)
        return nullptr;
    ++from.flows;
    flows_.push_back({.socket = socket, .of = &from, .client = client, .at = at});
    return &flows_.back();
}

void port_proxy::receive(port& from) {
    char bytes[most_kept];
    for (int count = 0; count < reads_a_turn; ++count) {
        sockaddr_in6 client{};
        iovec part{.iov_base = bytes, .iov_len = sizeof bytes};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))];
        msghdr packet{};
        packet.msg_name = &client;
        packet.msg_namelen = sizeof client;
        packet.msg_iov = &part;
        packet.msg_iovlen = 1;
        packet.msg_control = control;
        packet.msg_controllen = sizeof control;
        const ssize_t got = ::recvmsg(from.socket, &packet, 0);
        if (got < 0)
            return;
        in6_pktinfo at{};
        for (cmsghdr* each = CMSG_FIRSTHDR(&packet); each != nullptr; each = CMSG_NXTHDR(&packet, each))
            if (each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_PKTINFO)
                std::memcpy(&at, CMSG_DATA(each), sizeof at);
        if (flow* const of = flow_of(from, client, at); of != nullptr) {
            of->last = monotonic_now();
            ::send(of->socket, bytes, static_cast<std::size_t>(got), MSG_NOSIGNAL);
        }
    }
}

void port_proxy::answer(flow& of) {
    char bytes[most_kept];
    for (int count = 0; count < reads_a_turn; ++count) {
        const ssize_t got = ::recv(of.socket, bytes, sizeof bytes, 0);
        if (got < 0)
            return;
        of.last = monotonic_now();
        iovec part{.iov_base = bytes, .iov_len = static_cast<std::size_t>(got)};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
        msghdr packet{};
        packet.msg_name = &of.client;
        packet.msg_namelen = sizeof of.client;
        packet.msg_iov = &part;
        packet.msg_iovlen = 1;
        packet.msg_control = control;
        packet.msg_controllen = sizeof control;
        cmsghdr* const header = CMSG_FIRSTHDR(&packet);
        header->cmsg_level = IPPROTO_IPV6;
        header->cmsg_type = IPV6_PKTINFO;
        header->cmsg_len = CMSG_LEN(sizeof of.at);
        std::memcpy(CMSG_DATA(header), &of.at, sizeof of.at);
        ::sendmsg(of.of->socket, &packet, MSG_NOSIGNAL);
    }
}

std::int64_t port_proxy::expire(std::int64_t now) {
    std::int64_t next = 0;
    for (auto each = flows_.begin(); each != flows_.end();) {
        const std::int64_t at = each->last + flow_limit;
        if (at <= now) {
            --each->of->flows;
            close_fd(each->socket);
            each = flows_.erase(each);
            continue;
        }
        if (next == 0 || at < next)
            next = at;
        ++each;
    }
    return next;
}

} // namespace engine
