#include "engine/system/service_notice.hpp"

#include "engine/system/fd.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
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
    ::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL,
        reinterpret_cast<const sockaddr*>(&address), size);
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
