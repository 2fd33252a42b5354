#include "engine/system/mount.hpp"

#include "compose/model/error.hpp"
#include "engine/system/fd.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <libmount.h>
#include <list>
#include <memory>
#include <sstream>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace engine {

using compose::error;
using compose::error_kind;

void mount_file_system(const mount_request& what) {
    const std::unique_ptr<libmnt_context, decltype(&mnt_free_context)> context(
        mnt_new_context(), mnt_free_context);
    if (!context)
        throw error(error_kind::exhausted, "mount: out of memory");
    mnt_context_disable_mtab(context.get(), 1); // the kernel's own table is enough
    // "none" is what people write for a bind; libmount wants no type then.
    const char* type = what.type.empty() || what.type == "none" ? nullptr : what.type.c_str();
    // Docker's way of writing NFS (device: ":/path", addr= in the options) is the kernel's own, which
    // mount.nfs does not know.
    if (what.source.starts_with(':'))
        mnt_context_disable_helpers(context.get(), 1);
    const bool prepared = mnt_context_set_source(context.get(), what.source.c_str()) == 0 &&
                          mnt_context_set_target(context.get(), what.target.c_str()) == 0 &&
                          mnt_context_set_fstype(context.get(), type) == 0 &&
                          mnt_context_set_options(context.get(), what.options.c_str()) == 0;
    const int failed = prepared ? mnt_context_mount(context.get()) : -ENOMEM;
    std::array<char, 512> reason{};
    if (mnt_context_get_excode(context.get(), failed, reason.data(), reason.size()) == MNT_EX_SUCCESS)
        return;
    // What a helper such as mount.nfs says itself goes to the daemon's stderr.
    const char* text = reason.front() != '\0' ? reason.data() : "the mount helper failed";
    throw error(error_kind::invalid,
        fmt::format("mount {} \"{}\" with options \"{}\": {}", what.type, what.source, what.options, text));
}

bool knows_file_system(const std::string& name) {
    // As mount(2) does, fsopen(2) (Linux 5.2) has the kernel load the module; /proc/filesystems would not.
    const unique_fd context(static_cast<int>(::syscall(SYS_fsopen, name.c_str(), 0)));
    return static_cast<bool>(context);
}

bool runs_selinux() {
    return ::access("/sys/fs/selinux/enforce", F_OK) == 0;
}

bool is_mount_point(const std::filesystem::path& path) {
    struct statx status {};
    if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &status) != 0)
        return false;
    return (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0; // Linux 5.8
}

namespace {

namespace fs = std::filesystem;

/// As `readlink -m`: weakly_canonical() would leave a link alone that leads to nothing, as one into a disk
/// that is not mounted does.
fs::path resolved(const fs::path& path) {
    constexpr int most_links = 40; // the kernel's
    std::list<fs::path> left(path.begin(), path.end());
    fs::path made = "/";
    int links = 0;
    while (!left.empty()) {
        const fs::path name = std::move(left.front());
        left.pop_front();
        if (name.empty() || name == "." || name == "/")
            continue;
        std::error_code none;
        const fs::path target =
            name == ".." ? fs::path() : fs::read_symlink(made / name, none); // no link: an error and empty
        if (name == "..")
            made = made.parent_path();
        else if (target.empty() || ++links > most_links)
            made /= name;
        else {
            if (target.is_absolute())
                made = "/";
            left.insert(left.begin(), target.begin(), target.end());
        }
    }
    return made;
}

bool is_at_or_above(const fs::path& upper, const fs::path& path) {
    return std::mismatch(upper.begin(), upper.end(), path.begin(), path.end()).first == upper.end();
}

/// What fstab(5) has mounted when the host is up. With `noauto` it does not: whether something is mounted
/// there is up to a person then, and without it the folder is one like others, unless who starts a container
/// has seen it mounted before. x-systemd.automount is what goes with noauto where the first access mounts.
std::vector<fs::path> points_of_fstab() {
    const std::unique_ptr<libmnt_table, decltype(&mnt_unref_table)> table(mnt_new_table(), mnt_unref_table);
    const std::unique_ptr<libmnt_iter, decltype(&mnt_free_iter)> each(
        mnt_new_iter(MNT_ITER_FORWARD), mnt_free_iter);
    std::vector<fs::path> points;
    // libmount itself does not look at its variable in a process that writes no core files, as the daemon.
    if (!table || !each || mnt_table_parse_fstab(table.get(), std::getenv("LIBMOUNT_FSTAB")) != 0)
        return points; // a host need not have one
    for (libmnt_fs* entry = nullptr; mnt_table_next_fs(table.get(), each.get(), &entry) == 0;) {
        const char* target = mnt_fs_get_target(entry);
        const auto has = [&](const char* option) {
            return mnt_fs_get_option(entry, option, nullptr, nullptr) == 0;
        };
        const bool by_hand = has("noauto") && !has("x-systemd.automount");
        if (target != nullptr && *target == '/' && !by_hand)
            points.push_back(resolved(target));
    }
    return points;
}

} // namespace

fs::path mount_point_of(const fs::path& path) {
    fs::path at = resolved(path);
    while (at != "/" && !is_mount_point(at))
        at = at.parent_path();
    return at;
}

std::optional<missing_mount> missing_mount_of(const fs::path& path, const std::set<fs::path>& known) {
    const fs::path meant = resolved(path);
    const fs::path mounted = mount_point_of(meant);
    std::optional<missing_mount> found;
    const auto consider = [&](const fs::path& point, bool of_fstab) {
        if (is_at_or_above(point, meant) && !is_at_or_above(point, mounted) &&
            (!found || is_at_or_above(point, found->point)))
            found = missing_mount{.point = point, .of_fstab = of_fstab};
    };
    for (const fs::path& point : known)
        consider(point, false);
    for (const fs::path& point : points_of_fstab())
        consider(point, true);
    return found;
}

bool is_mounted_read_only(const std::filesystem::path& path) {
    struct statvfs there {};
    return ::statvfs(path.c_str(), &there) == 0 && (there.f_flag & ST_RDONLY) != 0;
}

mount_propagation propagation_of(const std::filesystem::path& path) {
    struct statx there {};
    if (::statx(AT_FDCWD, path.c_str(), AT_NO_AUTOMOUNT, STATX_MNT_ID, &there) != 0)
        return {};
    const std::string wanted = std::to_string(there.stx_mnt_id);
    std::istringstream table(read_file("/proc/self/mountinfo"));
    for (std::string line; std::getline(table, line);) {
        if (!line.starts_with(wanted + " "))
            continue;
        const std::string options = line.substr(0, line.find(" - "));
        return {.shared = options.find(" shared:") != std::string::npos,
            .slave = options.find(" master:") != std::string::npos};
    }
    return {};
}

void unmount(const std::filesystem::path& target) {
    // Repeated: mounts may lie on one another.
    while (is_mount_point(target)) {
        if (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
            throw error(error_kind::internal,
                fmt::format("unmount {}: {}", target.native(), std::generic_category().message(errno)));
    }
}

} // namespace engine
