#include "engine/system/socket.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <sstream>

namespace engine {

namespace {

std::string_view name_of(int protocol) {
    return protocol == IPPROTO_UDP ? "udp" : protocol == IPPROTO_SCTP ? "sctp" : "tcp";
}

/// The two forms of an address that the kernel takes.
struct socket_address {
    explicit socket_address(const socket_place& where) {
        if (where.ipv6) {
            six.sin6_family = AF_INET6;
            six.sin6_port = htons(where.port);
            std::memcpy(&six.sin6_addr, where.address.data(), sizeof(six.sin6_addr));
            size = sizeof(six);
        } else {
            four.sin_family = AF_INET;
            four.sin_port = htons(where.port);
            std::memcpy(&four.sin_addr, where.address.data(), sizeof(four.sin_addr));
            size = sizeof(four);
        }
    }

    sockaddr* get() noexcept {
        return reinterpret_cast<sockaddr*>(size == sizeof(six) ? static_cast<void*>(&six) : &four);
    }
    std::uint16_t port() const noexcept { return ntohs(size == sizeof(six) ? six.sin6_port : four.sin_port); }

    sockaddr_in four{};
    sockaddr_in6 six{};
    socklen_t size = 0;
};

std::string text_of(const socket_place& where) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(where.ipv6 ? AF_INET6 : AF_INET, where.address.data(), text.data(), text.size());
    return text.data();
}

[[noreturn]] void refuse(const socket_place& where, const std::string& why) {
    throw compose::error(
        compose::error_kind::invalid, fmt::format("publish port \"{}:{}/{}\": {}",
                                          where.ipv6 ? fmt::format("[{}]", text_of(where)) : text_of(where),
                                          where.port, name_of(where.protocol), why));
}

unique_fd open_socket(const socket_place& where) {
    const int type = where.protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
    unique_fd socket(::socket(where.ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, where.protocol));
    if (!socket && errno == EPROTONOSUPPORT)
        refuse(where, fmt::format("the kernel of this host has no {0}; if there is a module: modprobe {0}",
                          name_of(where.protocol)));
    if (!socket && errno == EAFNOSUPPORT)
        refuse(where, "this host has no IPv6");
    if (!socket)
        throw_errno("open socket for port", fmt::format("{}/{}", where.port, name_of(where.protocol)));
    return socket;
}

std::optional<bound_socket> bind_socket(const socket_place& where, bool deaf) {
    const std::string name = fmt::format("{}/{}", where.port, name_of(where.protocol));
    bound_socket bound{.socket = open_socket(where)};
    const int fd = bound.socket.get();
    const int on = 1;
    // Before bind: no SYN may be answered and no datagram queued in between.
    sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
    const sock_fprog program{.len = 1, .filter = &drop_all};
    if (deaf && ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0)
        throw_errno("filter socket of port", name);
    if (where.ipv6 && ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
        throw_errno("set up socket of port", name);
    if (!deaf && ::fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        throw_errno("set up socket of port", name);
    const bool udp = where.protocol == IPPROTO_UDP;
    // A TCP port that a process has just left is in TIME_WAIT and would be refused without it.
    if (!udp)
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    socket_address address(where);
    const int backlog = deaf ? 1 : SOMAXCONN;
    if (::bind(fd, address.get(), address.size) != 0 || (!udp && ::listen(fd, backlog) != 0)) {
        if (errno == EADDRINUSE)
            return std::nullopt;
        if (errno == EADDRNOTAVAIL)
            refuse(where, fmt::format("this host has no address {}", text_of(where)));
        throw_errno("bind port", name);
    }
    if (::getsockname(fd, address.get(), &address.size) != 0)
        throw_errno("read address of port", name);
    bound.port = address.port();
    return bound;
}

} // namespace

std::optional<bound_socket> bind_deaf_socket(const socket_place& where) {
    return bind_socket(where, true);
}

std::optional<bound_socket> bind_listening_socket(const socket_place& where) {
    return bind_socket(where, false);
}

std::optional<socket_place> place_of_socket(int fd) {
    socket_place place;
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    socklen_t protocol_size = sizeof place.protocol;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
        ::getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &place.protocol, &protocol_size) != 0)
        return std::nullopt;
    if (address.ss_family == AF_INET) {
        const auto* four = reinterpret_cast<const sockaddr_in*>(&address);
        place.port = ntohs(four->sin_port);
        std::memcpy(place.address.data(), &four->sin_addr, sizeof four->sin_addr);
        return place;
    }
    if (address.ss_family != AF_INET6)
        return std::nullopt;
    const auto* six = reinterpret_cast<const sockaddr_in6*>(&address);
    place.ipv6 = true;
    place.port = ntohs(six->sin6_port);
    std::memcpy(place.address.data(), &six->sin6_addr, sizeof six->sin6_addr);
    return place;
}

bool can_bind_ipv6() {
    const unique_fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    socket_address any({.protocol = IPPROTO_UDP, .ipv6 = true});
    return socket && ::bind(socket.get(), any.get(), any.size) == 0;
}

namespace {

// Inodes of the sockets on a local port, from /proc/net/tcp and its kin (columns:
// Documentation/networking/proc_net_tcp).
void collect_inodes(
    const std::filesystem::path& file, bool listening, std::uint16_t port, std::set<std::string>& into) {
    const auto text = read_file_if_there(file, 256U << 20U);
    std::istringstream lines(text.value_or(""));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
        std::istringstream fields(line);
        std::string slot, local, remote, state, skip, inode;
        fields >> slot >> local >> remote >> state;
        for (int column = 0; column < 5; ++column)
            fields >> skip;
        fields >> inode;
        const auto colon = local.rfind(':');
        if (colon == std::string::npos || inode.empty() || (listening && state != "0A"))
            continue;
        if (std::stoul(local.substr(colon + 1), nullptr, 16) == port)
            into.insert("socket:[" + inode + "]");
    }
}

bool is_number(const std::string& text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

} // namespace

std::string holder_of_port(int protocol, std::uint16_t port) {
    const bool udp = protocol == IPPROTO_UDP;
    std::set<std::string> inodes;
    for (const char* file :
        {udp ? "/proc/net/udp" : "/proc/net/tcp", udp ? "/proc/net/udp6" : "/proc/net/tcp6"})
        collect_inodes(file, !udp, port, inodes);
    if (inodes.empty())
        return {};
    std::error_code gone; // processes come and go while we look
    for (const auto& process : std::filesystem::directory_iterator("/proc", gone)) {
        const std::string pid = process.path().filename();
        if (!is_number(pid))
            continue;
        for (const auto& fd : std::filesystem::directory_iterator(process.path() / "fd", gone)) {
            if (!inodes.contains(std::filesystem::read_symlink(fd.path(), gone).native()))
                continue;
            std::string name = read_file_if_there(process.path() / "comm").value_or("");
            while (name.ends_with('\n'))
                name.pop_back();
            return fmt::format("{} (pid {})", name, pid);
        }
    }
    return {};
}

std::string address_of_host(const std::string& name) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int failed = ::getaddrinfo(name.c_str(), nullptr, &hints, &found);
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, ::freeaddrinfo);
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (failed != 0 || ::getnameinfo(found->ai_addr, found->ai_addrlen, text.data(), text.size(), nullptr, 0,
                           NI_NUMERICHOST) != 0)
        throw compose::error(
            compose::error_kind::not_found, fmt::format("host \"{}\": {}", name, ::gai_strerror(failed)));
    return text.data();
}

} // namespace engine
