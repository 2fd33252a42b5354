#include "engine/shim/shared_memory.hpp"

#include "engine/shim/state_files.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace engine {

namespace {

constexpr const char* place = "/dev/shm";

/// A mount cannot be taken from another namespace by its path, but from inside of it as a descriptor, which
/// may then be attached anywhere. -1 with errno.
int tree_within(int theirs, int ours, int folder) {
    if (::setns(theirs, CLONE_NEWNS) != 0)
        return -1;
    // Their root is the container's: /dev is a tmpfs of the OCI runtime, and what is mounted in it stays.
    const int tree = ::open_tree(AT_FDCWD, place, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
    const int failure = errno;
    if (::setns(ours, CLONE_NEWNS) != 0 || ::fchdir(folder) != 0)
        return -1;
    errno = failure;
    return tree;
}

bool is_tmpfs(int tree) {
    struct statfs status {};
    return ::fstatfs(tree, &status) == 0 && static_cast<unsigned long>(status.f_type) == TMPFS_MAGIC;
}

} // namespace

int share_memory(pid_t of, const char*& what) {
    what = place;
    const std::string path = "/proc/" + std::to_string(of) + "/ns/mnt";
    const int theirs = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const int ours = ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    const int folder = ::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int tree = theirs < 0 || ours < 0 || folder < 0 ? -1 : tree_within(theirs, ours, folder);
    int failure = tree < 0 ? errno : is_tmpfs(tree) ? 0 : EINVAL;
    if (failure == 0 && ::mkdir(run_file::shared_memory, 0700) != 0)
        failure = errno;
    if (failure == 0 &&
        ::move_mount(tree, "", AT_FDCWD, run_file::shared_memory, MOVE_MOUNT_F_EMPTY_PATH) != 0)
        failure = errno;
    for (const int fd : {theirs, ours, folder, tree})
        if (fd >= 0)
            ::close(fd);
    return failure;
}

} // namespace engine
