#include "engine/shim/prepared_mounts.hpp"

#include "engine/shim/overlay_mount.hpp"
#include "engine/shim/state_files.hpp"
#include "engine/shim/user_namespace.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace engine {

namespace {

std::string place_of(std::size_t index) {
    return std::string(run_file::mounts) + "/" + std::to_string(index);
}

/// What `subpath` is inside of `root`, which is closed: nothing outside can be reached by it.
int enter(int root, const std::string& subpath) {
    if (root < 0 || subpath.empty())
        return root;
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const int inside = static_cast<int>(::syscall(SYS_openat2, root, subpath.c_str(), &how, sizeof how));
    const int failure = errno;
    ::close(root);
    errno = failure;
    return inside;
}

/// A mount of what is open, attached to nothing yet; -1 with errno.
int clone_of(int opened, bool recursive) {
    if (opened < 0)
        return -1;
    const unsigned flags =
        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
    const int tree = ::open_tree(opened, "", flags);
    const int failure = errno;
    ::close(opened);
    errno = failure;
    return tree;
}

int tree_of_folder(const shim_mount& of) {
    return clone_of(enter(::open(of.source.c_str(), O_PATH | O_CLOEXEC), of.subpath), of.recursive);
}

/// The same with the ids of `user_namespace`, mounted at `place`.
int mapped_layer(int opened, int user_namespace, const std::string& place) {
    const int tree = clone_of(opened, false);
    errno = tree < 0 ? errno : map_layer(tree, user_namespace, place.c_str());
    return errno == 0 ? tree : -1;
}

/// The layers are mounted at `place` for as long as it takes to get hold of them.
/// `user_namespace`: of their files' ids; -1: the host's. An overlay itself takes no id map, its layers do.
int tree_of_layers(const shim_mount& of, const std::string& place, int user_namespace) {
    if (::mkdir(place.c_str(), 0700) != 0)
        return -1;
    std::string options = "index=off,lowerdir=";
    for (const std::string& layer : of.layers) {
        int fd = ::open(layer.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && user_namespace >= 0)
            fd = mapped_layer(fd, user_namespace, place);
        if (fd < 0)
            return -1;
        options += (options.ends_with('=') ? "" : ":") + std::to_string(fd);
    }
    errno = mount_overlay_of_descriptors(options, place.c_str(), MS_RDONLY | MS_NODEV);
    if (errno != 0)
        return -1;
    const int tree = clone_of(enter(::open(place.c_str(), O_PATH | O_CLOEXEC), of.subpath), true);
    const int failure = errno;
    while (::umount2(place.c_str(), MNT_DETACH) == 0) { // the layers with an id map are below it
    }
    ::rmdir(place.c_str());
    errno = failure;
    return tree;
}

/// Every mount of it; older kernels than Linux 5.12 cannot.
int make_read_only(int tree, bool or_fail) {
    mount_attr wanted{};
    wanted.attr_set = MOUNT_ATTR_RDONLY;
    if (::mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &wanted, sizeof wanted) == 0)
        return 0;
    return or_fail || errno != ENOSYS ? errno : 0;
}

int attach(int tree, const std::string& place) {
    struct stat status {};
    if (::fstat(tree, &status) != 0)
        return errno;
    if (S_ISDIR(status.st_mode)) {
        if (::mkdir(place.c_str(), 0700) != 0)
            return errno;
    } else {
        const int file = ::open(place.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (file < 0)
            return errno;
        ::close(file);
    }
    return ::move_mount(tree, "", AT_FDCWD, place.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : errno;
}

} // namespace

bool prepared_mounts::is_mapped(std::size_t index) const {
    const auto& mapped = setup_.mapped_mounts;
    return user_namespace_ >= 0 &&
           std::find(mapped.begin(), mapped.end(), static_cast<std::int64_t>(index)) != mapped.end();
}

int prepared_mounts::open_shared(const char*& what) {
    trees_.assign(wanted_.size(), -1);
    for (std::size_t index = 0; index < wanted_.size(); ++index) {
        if (!wanted_[index].shared)
            continue;
        what = wanted_[index].name.c_str();
        trees_[index] = tree_of_folder(wanted_[index]);
        if (trees_[index] < 0)
            return errno;
    }
    return 0;
}

int prepared_mounts::place_all(const char*& what) {
    what = run_file::mounts;
    if (!wanted_.empty() && ::mkdir(run_file::mounts, 0700) != 0)
        return errno;
    for (std::size_t index = 0; index < wanted_.size(); ++index) {
        const shim_mount& each = wanted_[index];
        const std::string place = place_of(index);
        what = each.name.c_str();
        int tree = trees_[index];
        if (tree < 0)
            tree = each.layers.empty() ? tree_of_folder(each)
                                       : tree_of_layers(each, place, is_mapped(index) ? user_namespace_ : -1);
        if (tree < 0)
            return errno;
        if (is_mapped(index) && each.layers.empty())
            if (const int failure = map_owners(tree, user_namespace_); failure != 0)
                return failure;
        int failure = each.read_only ? make_read_only(tree, each.read_only_or_fail) : 0;
        if (failure == 0)
            failure = attach(tree, place);
        if (failure != 0)
            return failure;
    }
    return 0;
}

} // namespace engine
