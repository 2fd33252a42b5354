#include "engine/shim/user_namespace.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

namespace engine {

namespace {

/// Stays in new namespaces, in `user` or one of its own, until its parent has what it needs.
[[noreturn]] void hold_namespaces(int user, bool with_network, int ready, int done) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool made = user >= 0 ? ::setns(user, CLONE_NEWUSER) == 0 : ::unshare(CLONE_NEWUSER) == 0;
    made = made && (!with_network || ::unshare(CLONE_NEWNET) == 0);
    const int failure = made ? 0 : errno;
    char byte = 0;
    if (::write(ready, &failure, sizeof failure) == sizeof failure) [[maybe_unused]]
        const ssize_t end = ::read(done, &byte, 1);
    ::_exit(0);
}

int write_map(const std::string& path, const shim_setup& setup) {
    const std::string line =
        "0 " + std::to_string(setup.first_user_id) + " " + std::to_string(setup.user_ids);
    const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return errno;
    const int failure =
        ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : errno;
    ::close(file);
    return failure;
}

int open_namespace(pid_t of, const char* kind, int& into) {
    const std::string path = "/proc/" + std::to_string(of) + "/ns/" + kind;
    into = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    return into < 0 ? errno : 0;
}

int take_namespaces(const shim_setup& setup, pid_t holder, bool with_network, own_namespaces& made) {
    const std::string proc = "/proc/" + std::to_string(holder);
    int failure = 0;
    if (made.user < 0) {
        failure = write_map(proc + "/uid_map", setup);
        if (failure == 0)
            failure = write_map(proc + "/gid_map", setup);
        if (failure == 0)
            failure = open_namespace(holder, "user", made.user);
    }
    if (failure == 0 && with_network)
        failure = open_namespace(holder, "net", made.network);
    return failure;
}

} // namespace

int make_user_namespace(const shim_setup& setup, bool with_network, own_namespaces& made) {
    int ready[2];
    int done[2];
    if (::pipe2(ready, O_CLOEXEC) != 0)
        return errno;
    if (::pipe2(done, O_CLOEXEC) != 0) {
        const int failure = errno;
        ::close(ready[0]);
        ::close(ready[1]);
        return failure;
    }
    const pid_t holder = ::fork();
    if (holder == 0) {
        ::close(done[1]);
        hold_namespaces(made.user, with_network, ready[1], done[0]);
    }
    int failure = holder < 0 ? errno : 0;
    ::close(ready[1]);
    ::close(done[0]);
    if (failure == 0 && ::read(ready[0], &failure, sizeof failure) != sizeof failure)
        failure = ECHILD;
    if (failure == 0)
        failure = take_namespaces(setup, holder, with_network, made);
    ::close(ready[0]);
    ::close(done[1]);
    if (holder > 0)
        ::waitpid(holder, nullptr, 0);
    return failure;
}

int user_namespace_of(pid_t process, int& user) {
    return open_namespace(process, "user", user);
}

int map_owners(int tree, int user) {
    mount_attr wanted{};
    wanted.attr_set = MOUNT_ATTR_IDMAP;
    wanted.userns_fd = static_cast<__u64>(user);
    return ::mount_setattr(tree, "", AT_EMPTY_PATH, &wanted, sizeof wanted) == 0 ? 0 : errno;
}

int map_layer(int tree, int user, const char* place) {
    if (const int failure = map_owners(tree, user); failure != 0)
        return failure;
    return ::move_mount(tree, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : errno;
}

} // namespace engine
