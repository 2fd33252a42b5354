#include "engine/shim/secret_files.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace engine {

namespace {

constexpr const char* folder = "secrets";

// Kernels before 6.4 do not know noswap.
int mount_tmpfs() {
    constexpr unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (::mount("tmpfs", folder, "tmpfs", flags, "mode=0700,noswap") == 0)
        return 0;
    if (errno != EINVAL)
        return errno;
    return ::mount("tmpfs", folder, "tmpfs", flags, "mode=0700") == 0 ? 0 : errno;
}

int copy_part(int from, std::int64_t offset, std::int64_t size, int into) {
    off_t at = offset;
    while (size > 0) {
        const ssize_t sent = ::sendfile(into, from, &at, static_cast<std::size_t>(size));
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return sent < 0 ? errno : ENODATA;
        size -= sent;
    }
    return 0;
}

/// `first`: what the container has as 0.
int write_one(const secret_file& of, std::int64_t first, int contents, const std::string& path) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return errno;
    int failure = copy_part(contents, of.offset, of.size, file);
    // The owner first: a change of owner takes the set-user-id bit away.
    if (failure == 0 &&
        (::fchown(file, static_cast<uid_t>(first + of.uid), static_cast<gid_t>(first + of.gid)) != 0 ||
            ::fchmod(file, static_cast<mode_t>(of.mode)) != 0))
        failure = errno;
    ::close(file);
    return failure;
}

} // namespace

int write_secret_files(const shim_setup& setup, int contents, const char*& what) {
    if (setup.secrets.empty())
        return 0;
    what = folder;
    if (const int failure = mount_tmpfs(); failure != 0)
        return failure;
    for (std::size_t at = 0; at < setup.secrets.size(); ++at) {
        what = setup.secrets[at].target.c_str();
        const int failure = write_one(
            setup.secrets[at], setup.first_user_id, contents, std::string(folder) + "/" + std::to_string(at));
        if (failure != 0)
            return failure;
    }
    return 0;
}

} // namespace engine
