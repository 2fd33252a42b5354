#include "engine/system/instance_lock.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>

namespace engine {

namespace {

[[noreturn]] void refuse(const std::string& what) {
    throw compose::error(
        compose::error_kind::conflict, fmt::format("{}: another composed uses it; give this one an "
                                                   "--instance, a --state and a --run folder of its own",
                                           what));
}

/// Whether `take` succeeds within a second; errno is that of the last attempt. A child that a killed daemon
/// had forked keeps the daemon's descriptors until its own exec.
template <typename Take>
bool soon(Take take) {
    constexpr int attempts = 100;
    constexpr std::chrono::milliseconds pause{10};
    for (int left = attempts; take() != 0; --left) {
        const int reason = errno;
        if (left == 0 || (reason != EADDRINUSE && reason != EWOULDBLOCK)) {
            errno = reason;
            return false;
        }
        std::this_thread::sleep_for(pause);
    }
    return true;
}

unique_fd take_name(const std::string& instance) {
    unique_fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket)
        throw_errno("open socket for instance", instance);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = "composed/" + instance; // after a NUL: abstract, see unix(7)
    std::memcpy(address.sun_path + 1, name.data(), std::min(name.size(), sizeof(address.sun_path) - 1));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    if (soon([&] { return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size); }))
        return socket;
    if (errno == EADDRINUSE)
        refuse(fmt::format("instance \"{}\"", instance));
    throw_errno("take instance", instance);
}

unique_fd take_folder(const std::filesystem::path& run) {
    unique_fd file = open_file(run / "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (soon([&] { return ::flock(file.get(), LOCK_EX | LOCK_NB); }))
        return file;
    if (errno == EWOULDBLOCK)
        refuse(fmt::format("run folder \"{}\"", run.native()));
    throw_errno("lock", run.native());
}

} // namespace

instance_lock::instance_lock(const std::string& instance, const std::filesystem::path& run)
    : name_(take_name(instance)), folder_(take_folder(run)) {}

} // namespace engine
