#include "engine/shim/root_filesystem.hpp"

#include "engine/shim/acting_as.hpp"
#include "engine/shim/overlay_mount.hpp"
#include "engine/shim/prepared_mounts.hpp"
#include "engine/shim/secret_files.hpp"
#include "engine/shim/shared_memory.hpp"
#include "engine/shim/state_files.hpp"
#include "engine/shim/user_namespace.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace engine {

namespace {

constexpr const char* root_folder = "rootfs";
constexpr const char* unified_cgroup = "/sys/fs/cgroup/unified";

int own_namespace(const char*& what) {
    what = "mount namespace";
    return ::unshare(CLONE_NEWNS) == 0 ? 0 : errno;
}

int detach_mounts(const char*& what) {
    what = "mount namespace";
    // Slave, not private: what the host unmounts later must not be pinned by us.
    return ::mount("", "/", nullptr, MS_SLAVE | MS_REC, nullptr) == 0 ? 0 : errno;
}

int append_folder(std::string& options, const std::string& path, int user_namespace) {
    const int fd = ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    if (user_namespace < 0) {
        options += std::to_string(fd);
        return 0;
    }
    const int tree = ::open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    ::close(fd);
    options += std::to_string(tree);
    return tree < 0 ? errno : map_layer(tree, user_namespace, root_folder);
}

/// Both must be on one mount, which with an id map is one made for them: of the folder that they are in.
int append_upper_and_work(std::string& options, const shim_setup& setup, int user_namespace) {
    const auto parent = [](const std::string& path) { return path.substr(0, path.rfind('/')); };
    if (parent(setup.upper) != parent(setup.work))
        return EXDEV;
    std::string folder;
    if (const int failure = append_folder(folder, parent(setup.upper), user_namespace); failure != 0)
        return failure;
    options += ",upperdir=" + folder + setup.upper.substr(setup.upper.rfind('/'));
    options += ",workdir=" + folder + setup.work.substr(setup.work.rfind('/'));
    return 0;
}

int mount_overlay(const shim_setup& setup, int user_namespace, const char*& what) {
    std::string options = "index=off,lowerdir=";
    for (const std::string& layer : setup.layers) {
        what = layer.c_str();
        if (!options.ends_with('='))
            options += ':';
        if (const int failure = append_folder(options, layer, user_namespace); failure != 0)
            return failure;
    }
    what = setup.upper.c_str();
    if (const int failure = append_upper_and_work(options, setup, user_namespace); failure != 0)
        return failure;
    what = "overlay";
    return mount_overlay_of_descriptors(options, root_folder, 0);
}

int open_inside(int root, const char* path, unsigned long long flags) {
    open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    return static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
}

// A folder of the root that is no symlink, made where there is none.
int real_folder(int root, const char* path) {
    if (::mkdirat(root, path, 0755) != 0 && errno != EEXIST)
        return errno;
    const int fd = open_inside(root, path, O_PATH | O_DIRECTORY);
    if (fd < 0)
        return errno;
    ::close(fd);
    return 0;
}

// Many images have /etc/resolv.conf as a symlink to a file of systemd: it gives way, as in Docker.
int real_file(int root, const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash);
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    const int parent = open_inside(root, folder.c_str(), O_PATH | O_DIRECTORY);
    if (parent < 0)
        return errno;
    struct stat status {};
    if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
        ::unlinkat(parent, name.c_str(), 0);
    const int fd = ::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    const int result = fd >= 0 || errno == EEXIST ? 0 : errno;
    if (fd >= 0)
        ::close(fd);
    ::close(parent);
    return result;
}

int make_mount_points(const shim_setup& setup, const char*& what) {
    what = root_folder;
    const int root = ::open(root_folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return errno;
    for (const char* folder : {"dev", "proc", "sys", "etc"}) {
        what = folder;
        if (const int failure = real_folder(root, folder); failure != 0)
            return failure;
    }
    for (const std::string& file : setup.mount_files) {
        what = file.c_str();
        if (const int failure = real_file(root, file); failure != 0)
            return failure;
    }
    return 0;
}

} // namespace

namespace {

int unmount_unified(const char*& what) {
    what = unified_cgroup;
    return ::umount2(unified_cgroup, MNT_DETACH) == 0 || errno == EINVAL || errno == ENOENT ? 0 : errno;
}

} // namespace

int hide_unified_cgroup(const char*& what) {
    int failure = own_namespace(what);
    if (failure == 0)
        failure = detach_mounts(what);
    return failure == 0 ? unmount_unified(what) : failure;
}

namespace {

/// Where the runtime finds it, whatever becomes of descriptors.
int place_user_namespace(int user_namespace, const char*& what) {
    what = run_file::user_namespace;
    const int file = ::open(run_file::user_namespace, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return errno;
    ::close(file);
    const std::string source = "/proc/self/fd/" + std::to_string(user_namespace);
    return ::mount(source.c_str(), run_file::user_namespace, nullptr, MS_BIND, nullptr) == 0 ? 0 : errno;
}

/// The overlay and what is made in it, as the container's root would.
int make_root(const shim_setup& setup, const runtime_surroundings& with, const char*& what) {
    const acting_as owner(setup.first_user_id);
    int failure = mount_overlay(setup, with.user_namespace, what);
    if (failure == 0)
        failure = make_mount_points(setup, what);
    return failure;
}

} // namespace

int prepare_root_filesystem(
    const shim_setup& setup, const runtime_surroundings& with, const char*& what, failure_step& step) {
    step = failure_step::root_filesystem;
    int failure = own_namespace(what);
    if (failure != 0)
        return failure;
    prepared_mounts mounts(setup, with.user_namespace);
    step = failure_step::mount;
    failure = mounts.open_shared(what); // while they are the host's own
    if (failure != 0)
        return failure;
    step = failure_step::root_filesystem;
    failure = detach_mounts(what);
    if (failure == 0 && setup.hide_unified)
        failure = unmount_unified(what);
    if (failure == 0 && with.user_namespace >= 0)
        failure = place_user_namespace(with.user_namespace, what);
    if (failure == 0)
        failure = make_root(setup, with, what);
    if (failure == 0)
        failure = write_secret_files(setup, with.contents, what);
    if (failure != 0)
        return failure;
    step = failure_step::mount;
    failure = mounts.place_all(what);
    if (failure == 0 && setup.shared_memory_of != 0)
        failure = share_memory(static_cast<pid_t>(setup.shared_memory_of), what);
    return failure;
}

} // namespace engine
