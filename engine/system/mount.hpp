#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>

namespace engine {

/// A file system to be mounted on the host, in the words of fstab(5).
struct mount_request {
    std::string source; // a device, HOST:/PATH, a folder for o=bind
    std::filesystem::path target;
    std::string type;    // nfs, tmpfs, ext4 …; "none" for a bind
    std::string options; // comma-separated: "size=64m,noexec", "bind", "addr=10.0.0.1,rw"
};

/// Mounts as mount(8) does, helpers (mount.nfs) and loop devices included. Blocks. Throws error{invalid} with
/// the system's reason.
void mount_file_system(const mount_request& what);

/// Whether this kernel has a file system of that name, built in or as a module, which is loaded then.
bool knows_file_system(const std::string& name);

/// Whether the kernel runs SELinux: its file system is mounted then.
bool runs_selinux();

/// Whether nothing can be written below the path: its mount or its file system is read-only.
bool is_mounted_read_only(const std::filesystem::path& path);

/// Whether something is mounted at the very path.
bool is_mount_point(const std::filesystem::path& path);

/// Where the file system is mounted that the path is on, or would be on if it is not there. Links are
/// followed as far as they lead, also where they lead to nothing.
std::filesystem::path mount_point_of(const std::filesystem::path& path);

/// A place where something ought to be mounted and nothing is.
struct missing_mount {
    std::filesystem::path point;
    bool of_fstab = false; // which says so; else it is one of `known`
};

/// Of the places at the path or above it where fstab(5), or who knows of others, has something mounted: the
/// topmost that is not mounted now, so that the path is not what it is meant to be. A test has its own table
/// by libmount's variable LIBMOUNT_FSTAB.
std::optional<missing_mount> missing_mount_of(
    const std::filesystem::path& path, const std::set<std::filesystem::path>& known);

/// How mounts that come and go below a mount are passed on.
struct mount_propagation {
    bool shared = false; // to and from others of its group
    bool slave = false;  // from a group
};

/// Of the mount that the path is on.
mount_propagation propagation_of(const std::filesystem::path& path);

/// Takes away what is mounted there; no error when nothing is. What still uses it keeps it until it ends
/// (MNT_DETACH). Blocks.
void unmount(const std::filesystem::path& target);

} // namespace engine
