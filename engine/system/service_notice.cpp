#include "engine/system/service_notice.hpp"

#include "engine/system/child_process.hpp"
#include "engine/system/fd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace engine {

namespace {

// Set once before any thread is there, closed once: the write end that go_to_background()'s parent waits on.
int ready_pipe = -1;

} // namespace

void notify_service_manager(std::string_view state) noexcept {
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path == nullptr || std::strlen(path) >= sizeof(address.sun_path))
        return;
    std::memcpy(address.sun_path, path, std::strlen(path));
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0';
    const unique_fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    // The queue holds ten (net.unix.max_dgram_qlen): a service manager that is stuck must not hold up the
    // engine.
    ::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
        reinterpret_cast<const sockaddr*>(&address), size);
}

namespace {

/// A number that systemd has put into the environment for this process, `name`_PID being its own.
std::optional<std::uint64_t> number_for_us(const char* name, const char* pid_name) noexcept {
    const auto number = [](const char* text) -> std::optional<std::uint64_t> {
        std::uint64_t value = 0;
        if (text == nullptr)
            return std::nullopt;
        const char* end = text + std::strlen(text);
        const auto [stop, failed] = std::from_chars(text, end, value);
        return failed == std::errc() && stop == end ? std::optional(value) : std::nullopt;
    };
    const auto pid = number(std::getenv(pid_name));
    if (pid && *pid != static_cast<std::uint64_t>(::getpid()))
        return std::nullopt;
    return number(std::getenv(name));
}

} // namespace

std::optional<unique_fd> take_inherited_socket() noexcept {
    constexpr int first_descriptor = 3; // SD_LISTEN_FDS_START
    const auto count = number_for_us("LISTEN_FDS", "LISTEN_PID");
    ::unsetenv("LISTEN_FDS");
    if (count != 1)
        return std::nullopt;
    ::fcntl(first_descriptor, F_SETFD, FD_CLOEXEC);
    ::fcntl(first_descriptor, F_SETFL, O_NONBLOCK);
    return unique_fd(first_descriptor);
}

std::optional<std::chrono::microseconds> watchdog_interval() noexcept {
    const auto patience = number_for_us("WATCHDOG_USEC", "WATCHDOG_PID");
    if (!patience || *patience < 2)
        return std::nullopt;
    return std::chrono::microseconds(*patience / 2);
}

bool host_goes_down() {
    constexpr int patience = 5'000; // ms: systemd is busy at such times
    if (::access("/run/systemd/system", F_OK) != 0)
        return false;
    const child_process asked = start_program({.program = "/bin/sh",
        .arguments = {"-c", "[ \"$(systemctl is-system-running)\" = stopping ]"},
        .folder = {}});
    pollfd ended{.fd = asked.handle.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ended, 1, patience) != 1) {
        send_signal(asked.handle, SIGKILL);
        ::poll(&ended, 1, -1);
    }
    return reap(asked) == 0;
}

void go_to_background() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        throw_errno("make", "pipe");
    const pid_t child = ::fork();
    if (child < 0)
        throw_errno("start", "background process");
    if (child > 0) {
        ::close(ends[1]);
        char byte = 0;
        ::_exit(::read(ends[0], &byte, 1) == 1 ? 0 : 1);
    }
    ::close(ends[0]);
    ready_pipe = ends[1];
    ::setsid();
}

void daemon_ready() noexcept {
    if (ready_pipe < 0)
        return;
    const unique_fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int stream : {0, 1, 2})
        ::dup2(nothing.get(), stream);
    const char byte = '\n';
    [[maybe_unused]] const ssize_t told = ::write(ready_pipe, &byte, 1);
    ::close(std::exchange(ready_pipe, -1));
}

void raise_file_limit() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

} // namespace engine
