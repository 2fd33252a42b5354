#include "engine/system/mount.hpp"

#include "compose/model/error.hpp"
#include "engine/system/fd.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <libmount.h>
#include <memory>
#include <sstream>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

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

bool is_on_root_mount(const std::filesystem::path& path) {
    struct statx root {};
    struct statx there {};
    if (::statx(AT_FDCWD, "/", 0, STATX_MNT_ID, &root) != 0 ||
        ::statx(AT_FDCWD, path.c_str(), AT_NO_AUTOMOUNT, STATX_MNT_ID, &there) != 0)
        return false;
    return root.stx_mnt_id == there.stx_mnt_id; // Linux 5.8
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
