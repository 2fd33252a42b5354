#include "engine/shim/network_namespace.hpp"

#include "engine/shim/dns_redirect.hpp"
#include "engine/shim/user_namespace.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace engine {

namespace {

constexpr std::uint32_t dns_address = 0x7f00000b; // 127.0.0.11
constexpr int tcp_backlog = 64;
constexpr int dns_room = 1 << 20;

int loopback_up() {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0)
        return errno;
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
    const int result = ::ioctl(socket, SIOCSIFFLAGS, &request) == 0 ? 0 : errno;
    ::close(socket);
    return result;
}

// A socket on 127.0.0.11 with a port of the kernel's choice: the container itself may bind 0.0.0.0:53.
int listen_on_dns_address(int type, int& fd, std::uint16_t& port) {
    fd = ::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(dns_address);
    socklen_t length = sizeof address;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        (type == SOCK_STREAM && ::listen(fd, tcp_backlog) != 0) ||
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0)
        return errno;
    // What is asked while there is no daemon waits here, some thousands of questions; the usual room has 277.
    if (type == SOCK_DGRAM)
        ::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &dns_room, sizeof dns_room);
    port = ntohs(address.sin_port);
    return 0;
}

/// A network namespace belongs to the user namespace it is made in, so both are made together.
int unshare_network(const shim_setup& setup, network_descriptors& descriptors) {
    if (setup.user_ids == 0)
        return ::unshare(CLONE_NEWNET) == 0 ? 0 : errno;
    own_namespaces made{.user = descriptors.user};
    int failure = make_user_namespace(setup, true, made);
    if (failure == 0 && ::setns(made.network, CLONE_NEWNET) != 0)
        failure = errno;
    if (made.network >= 0)
        ::close(made.network);
    descriptors.user = made.user;
    return failure;
}

int enter_users(const shim_setup& setup, network_descriptors& descriptors) {
    if (setup.user_ids == 0)
        return 0;
    if (setup.user_namespace_of != 0)
        return user_namespace_of(static_cast<pid_t>(setup.user_namespace_of), descriptors.user);
    const bool made_with_network = setup.network == shim_network::own || setup.network == shim_network::none;
    if (made_with_network)
        return 0;
    own_namespaces made;
    const int failure = make_user_namespace(setup, false, made);
    descriptors.user = made.user;
    return failure;
}

int join(const char* path) {
    const int space = ::open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0)
        return errno;
    const int result = ::setns(space, CLONE_NEWNET) == 0 ? 0 : errno;
    ::close(space);
    return result;
}

} // namespace

int enter_network(const shim_setup& setup, network_descriptors& descriptors) {
    if (const int failure = enter_users(setup, descriptors); failure != 0)
        return failure;
    if (setup.network == shim_network::host)
        return 0;
    descriptors.host = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (setup.network == shim_network::join)
        return join(setup.join_namespace.c_str());
    int result = unshare_network(setup, descriptors);
    if (result == 0)
        result = loopback_up();
    if (result != 0 || setup.network == shim_network::none)
        return result;
    std::uint16_t udp_port = 0;
    std::uint16_t tcp_port = 0;
    result = listen_on_dns_address(SOCK_DGRAM, descriptors.udp, udp_port);
    if (result == 0)
        result = listen_on_dns_address(SOCK_STREAM, descriptors.tcp, tcp_port);
    return result == 0 ? install_dns_redirect(udp_port, tcp_port) : result;
}

} // namespace engine
