#include "engine/system/socket.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <set>
#include <sstream>

namespace engine {

std::optional<bound_socket> bind_deaf_socket(bool udp, std::uint32_t address, std::uint16_t port) {
    const std::string name = fmt::format("{}/{}", port, udp ? "udp" : "tcp");
    bound_socket bound{
        .socket = unique_fd(::socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0))};
    if (!bound.socket)
        throw_errno("open socket for port", name);
    // Before bind: no SYN may be answered and no datagram queued in between.
    sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
    const sock_fprog program{.len = 1, .filter = &drop_all};
    if (::setsockopt(bound.socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0)
        throw_errno("filter socket of port", name);
    const int on = 1;
    // A TCP port that a process has just left is in TIME_WAIT and would be refused without it.
    if (!udp)
        ::setsockopt(bound.socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(port);
    where.sin_addr.s_addr = htonl(address);
    if (::bind(bound.socket.get(), reinterpret_cast<const sockaddr*>(&where), sizeof(where)) != 0 ||
        (!udp && ::listen(bound.socket.get(), 1) != 0)) {
        if (errno == EADDRINUSE)
            return std::nullopt;
        if (errno == EADDRNOTAVAIL) {
            std::array<char, INET_ADDRSTRLEN> text{};
            ::inet_ntop(AF_INET, &where.sin_addr, text.data(), text.size());
            throw compose::error(compose::error_kind::invalid,
                fmt::format(
                    "publish port \"{}:{}\": this host has no address {}", text.data(), name, text.data()));
        }
        throw_errno("bind port", name);
    }
    socklen_t size = sizeof(where);
    if (::getsockname(bound.socket.get(), reinterpret_cast<sockaddr*>(&where), &size) != 0)
        throw_errno("read address of port", name);
    bound.port = ntohs(where.sin_port);
    return bound;
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

std::string holder_of_port(bool udp, std::uint16_t port) {
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

} // namespace engine
