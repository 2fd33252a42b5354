#include "engine/system/unix_socket.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace engine {

namespace {

sockaddr_un address_of(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.native().size() >= sizeof(address.sun_path))
        throw compose::error(
            compose::error_kind::invalid, fmt::format("socket \"{}\": the path is longer than {} bytes",
                                              path.native(), sizeof(address.sun_path) - 1));
    std::memcpy(address.sun_path, path.c_str(), path.native().size());
    return address;
}

bool somebody_answers(const sockaddr_un& address) {
    const unique_fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

} // namespace

void give_to_group(const std::filesystem::path& path, const std::string& group) {
    if (const struct group* found = group.empty() ? nullptr : ::getgrnam(group.c_str()))
        if (::chown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0)
            throw_errno("give to its group", path.native());
}

unique_fd listen_unix(const std::filesystem::path& path, unsigned mode, const std::string& group) {
    const sockaddr_un address = address_of(path);
    if (somebody_answers(address))
        throw compose::error(compose::error_kind::conflict,
            fmt::format("socket \"{}\": another composed answers there", path.native()));
    ::unlink(path.c_str());
    unique_fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // Nobody may connect between bind and chmod.
    const mode_t before = ::umask(0177);
    const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    ::umask(before);
    if (bound != 0)
        throw_errno("bind socket", path.native());
    give_to_group(path, group);
    if (::chmod(path.c_str(), mode) != 0)
        throw_errno("set mode of", path.native());
    if (::listen(socket.get(), 128) != 0)
        throw_errno("listen at", path.native());
    return socket;
}

std::optional<unsigned> peer_user(int socket) noexcept {
    ucred credentials{};
    socklen_t size = sizeof(credentials);
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return std::nullopt;
    return credentials.uid;
}

unique_fd open_peer(const unique_fd& socket) noexcept {
    ucred credentials{};
    socklen_t size = sizeof(credentials);
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0 || credentials.pid <= 0)
        return {};
    return unique_fd(static_cast<int>(::syscall(SYS_pidfd_open, credentials.pid, 0)));
}

} // namespace engine
