// What tests/bench/network_bench.py has go through the engines, at both ends; static, to run in any image.
//
// - `traffic serve PORT` answers each connection's first byte: 'c' with one byte, 's' with a stream.
// - `traffic answer` is a DNS server on port 53 that knows every name.
// - `traffic connect ADDRESS PORT COUNT` prints connections a second, four at a time.
// - `traffic stream ADDRESS PORT SECONDS` prints the MB a second of one connection.
// - `traffic lookup SERVER NAME COUNT` prints lookups a second, four at a time, and their p99 in µs.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

using steady = std::chrono::steady_clock;
constexpr int at_a_time = 4;
constexpr std::uint16_t dns_port = 53;

sockaddr_in address_of(const char* address, std::uint16_t port) {
    sockaddr_in made{};
    made.sin_family = AF_INET;
    made.sin_port = htons(port);
    if (::inet_pton(AF_INET, address, &made.sin_addr) != 1)
        std::exit(2);
    return made;
}

int open_socket(int type) {
    const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        std::exit(1);
    return fd;
}

const sockaddr* plain(const sockaddr_in& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

int connection_to(const sockaddr_in& where) {
    const int fd = open_socket(SOCK_STREAM);
    if (::connect(fd, plain(where), sizeof(where)) != 0) {
        std::perror("connect");
        std::exit(1);
    }
    return fd;
}

double seconds_since(steady::time_point began) {
    return std::chrono::duration<double>(steady::now() - began).count();
}

void serve_one(int fd) {
    static const std::array<char, 1U << 18U> nothing{};
    char wish = 0;
    if (::read(fd, &wish, 1) == 1) {
        if (wish == 'c')
            static_cast<void>(::write(fd, &wish, 1));
        while (wish == 's' && ::write(fd, nothing.data(), nothing.size()) > 0) {
        }
    }
    ::close(fd);
}

int serve(std::uint16_t port) {
    const int listening = open_socket(SOCK_STREAM);
    const int yes = 1;
    ::setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    const sockaddr_in where = address_of("0.0.0.0", port);
    if (::bind(listening, plain(where), sizeof(where)) != 0 || ::listen(listening, SOMAXCONN) != 0)
        return 1;
    const auto accept_for_ever = [listening] {
        for (;;)
            if (const int fd = ::accept(listening, nullptr, nullptr); fd >= 0)
                serve_one(fd);
    };
    std::vector<std::thread> others;
    for (int index = 1; index < at_a_time; ++index)
        others.emplace_back(accept_for_ever);
    accept_for_ever();
    return 0;
}

/// The question given back with one A record, 198.18.0.9 (RFC 1035, section 4).
int answer() {
    constexpr std::array<unsigned char, 16> record{0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 18, 0, 9};
    constexpr std::size_t header = 12;
    const int fd = open_socket(SOCK_DGRAM);
    const sockaddr_in where = address_of("0.0.0.0", dns_port);
    if (::bind(fd, plain(where), sizeof(where)) != 0)
        return 1;
    for (;;) {
        std::array<unsigned char, 1024> message{};
        sockaddr_in from{};
        socklen_t size = sizeof(from);
        const ssize_t got = ::recvfrom(
            fd, message.data(), message.size() - record.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
        if (got < static_cast<ssize_t>(header))
            continue;
        std::size_t end = header;
        while (end < static_cast<std::size_t>(got) && message[end] != 0)
            end += message[end] + 1U;
        end += 5; // the root's length, type and class
        message[2] = 0x81;
        message[3] = 0x80;
        message[7] = 1;                                          // one answer
        message[8] = message[9] = message[10] = message[11] = 0; // nothing more, of EDNS neither
        std::copy(record.begin(), record.end(), message.begin() + static_cast<std::ptrdiff_t>(end));
        ::sendto(fd, message.data(), end + record.size(), 0, plain(from), size);
    }
}

/// Calls `once` as often, shared by four threads; gives the seconds it took.
double shared_by_threads(int count, const std::function<void(int)>& once) {
    const auto began = steady::now();
    std::vector<std::thread> threads;
    for (int thread = 0; thread < at_a_time; ++thread)
        threads.emplace_back([=, &once] {
            for (int index = thread; index < count; index += at_a_time)
                once(index);
        });
    for (std::thread& each : threads)
        each.join();
    return seconds_since(began);
}

int connect_often(const sockaddr_in& where, int count) {
    const double took = shared_by_threads(count, [&](int) {
        const int fd = connection_to(where);
        char byte = 'c';
        if (::write(fd, &byte, 1) != 1 || ::read(fd, &byte, 1) != 1)
            std::exit(1);
        const linger at_once{.l_onoff = 1, .l_linger = 0}; // leaves no TIME_WAIT behind
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        ::close(fd);
    });
    std::printf("%.0f\n", count / took);
    return 0;
}

int stream(const sockaddr_in& where, double seconds) {
    std::vector<char> buffer(1U << 18U);
    const int fd = connection_to(where);
    if (::write(fd, "s", 1) != 1)
        return 1;
    double total = 0;
    const auto began = steady::now();
    while (seconds_since(began) < seconds) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got <= 0)
            return 1;
        total += static_cast<double>(got);
    }
    constexpr double megabyte = 1e6;
    std::printf("%.0f\n", total / seconds_since(began) / megabyte);
    return 0;
}

std::string question(const std::string& name, int id) {
    std::string text{static_cast<char>(id >> 8), static_cast<char>(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    for (std::size_t begin = 0; begin <= name.size();) {
        const std::size_t end = std::min(name.find('.', begin), name.size());
        text += static_cast<char>(end - begin) + name.substr(begin, end - begin);
        begin = end + 1;
    }
    return text + std::string("\0\0\1\0\1", 5);
}

int look_up(const sockaddr_in& server, const std::string& name, int count) {
    std::vector<double> times(static_cast<std::size_t>(count));
    const double took = shared_by_threads(count, [&](int index) {
        const auto began = steady::now();
        const int fd = open_socket(SOCK_DGRAM);
        const timeval patience{.tv_sec = 2, .tv_usec = 0};
        ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        const std::string asked = question(name, index);
        std::array<char, 1024> reply{};
        if (::sendto(fd, asked.data(), asked.size(), 0, plain(server), sizeof(server)) < 0 ||
            ::recv(fd, reply.data(), reply.size(), 0) < 0 || reply[7] == 0) {
            std::fprintf(stderr, "no answer for %s\n", name.c_str());
            std::exit(1);
        }
        ::close(fd);
        times[static_cast<std::size_t>(index)] = seconds_since(began);
    });
    std::sort(times.begin(), times.end());
    constexpr double microseconds = 1e6;
    std::printf("%.0f %.0f\n", count / took, times[times.size() * 99 / 100] * microseconds);
    return 0;
}

} // namespace

int main(int count, char** arguments) {
    std::signal(SIGPIPE, SIG_IGN);
    const std::string what = count > 1 ? arguments[1] : "";
    const auto number = [&](int at) { return std::atoi(arguments[at]); };
    if (what == "serve" && count == 3)
        return serve(static_cast<std::uint16_t>(number(2)));
    if (what == "answer" && count == 2)
        return answer();
    if (what == "lookup" && count == 5)
        return look_up(address_of(arguments[2], dns_port), arguments[3], number(4));
    if ((what == "connect" || what == "stream") && count == 5) {
        const sockaddr_in where = address_of(arguments[2], static_cast<std::uint16_t>(number(3)));
        return what == "connect" ? connect_often(where, number(4)) : stream(where, number(4));
    }
    return 2;
}
