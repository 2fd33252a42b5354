#include "engine/shim/runtime_command.hpp"

#include "engine/shim/root_filesystem.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <initializer_list>
#include <string>

namespace engine {

namespace {

constexpr std::size_t max_object = 512;

struct wire_report {
    std::int64_t step;
    std::int64_t code;
    char object[max_object];
};

[[noreturn]] void give_up(int report, failure_step step, int code, const char* object) {
    wire_report wire{};
    wire.step = static_cast<std::int64_t>(step);
    wire.code = code;
    std::strncpy(wire.object, object, max_object - 1);
    [[maybe_unused]] const ssize_t put = ::write(report, &wire, sizeof wire);
    ::_exit(125);
}

bool is_null_device(int file) {
    struct stat status {};
    return ::fstat(file, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

/// The host's /dev/null by a mount of its own that is read-only, where nobody changes the owner: crun makes
/// the container's user that of its stdio, which could then close the device to the whole host.
int open_null_device() {
    const int tree = ::open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    mount_attr wanted{};
    wanted.attr_set = MOUNT_ATTR_RDONLY;
    int file = -1;
    if (tree >= 0 && ::mount_setattr(tree, "", AT_EMPTY_PATH, &wanted, sizeof wanted) == 0)
        file = ::open(("/proc/self/fd/" + std::to_string(tree)).c_str(), O_RDWR | O_CLOEXEC);
    if (tree >= 0)
        ::close(tree);
    return file >= 0 ? file : ::open("/dev/null", O_RDWR | O_CLOEXEC); // before Linux 5.12
}

bool take_stdio(const int stdio[3]) {
    // Copies above 2 first, so that none of the three overwrites another.
    int copies[3];
    int null_device = -1;
    for (int at = 0; at < 3; ++at) {
        const bool none = stdio[at] < 0 || is_null_device(stdio[at]);
        if (none && null_device < 0)
            null_device = open_null_device();
        const int source = none ? null_device : stdio[at];
        copies[at] = ::fcntl(source, F_DUPFD_CLOEXEC, 3);
        if (copies[at] < 0)
            return false;
    }
    for (int at = 0; at < 3; ++at)
        if (::dup2(copies[at], at) < 0)
            return false;
    return true;
}

void default_signals() {
    for (const int number : {SIGPIPE, SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT})
        std::signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become_runtime(const shim_setup& setup, char* const* argv, const int stdio[3],
    runtime_view view, const runtime_surroundings& with, int report) {
    default_signals();
    // A half-made container must not outlive us; the kernel clears this for the container's own process.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!take_stdio(stdio))
        give_up(report, failure_step::runtime, errno, "stdio");
    if (with.host_network >= 0 && ::setns(with.host_network, CLONE_NEWNET) != 0)
        give_up(report, failure_step::network, errno, "host");
    const char* what = "";
    failure_step step = failure_step::root_filesystem;
    int failure = 0;
    if (view == runtime_view::with_root)
        failure = prepare_root_filesystem(setup, with, what, step);
    else if (setup.hide_unified)
        failure = hide_unified_cgroup(what);
    if (failure != 0)
        give_up(report, step, failure, what);
    // CVE-2024-21626: nothing of ours may be open in the container.
    ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    ::execv(setup.runtime.c_str(), argv);
    give_up(report, failure_step::runtime, errno, setup.runtime.c_str());
}

} // namespace

runtime_command start_runtime(const shim_setup& setup, const std::vector<std::string>& arguments,
    const int stdio[3], runtime_view view, const runtime_surroundings& with) {
    std::vector<std::string> words{setup.runtime, "--root", setup.runtime_root, "--log-format", "json"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);

    runtime_command command;
    int report[2];
    if (::pipe2(report, O_CLOEXEC) != 0)
        return command;
    command.pid = ::fork();
    if (command.pid == 0)
        become_runtime(setup, argv.data(), stdio, view, with, report[1]);
    ::close(report[1]);
    if (command.pid < 0)
        ::close(report[0]);
    else
        command.report = report[0];
    return command;
}

child_failure take_report(runtime_command& command) {
    child_failure failure;
    wire_report wire{};
    if (command.report >= 0 && ::read(command.report, &wire, sizeof wire) == sizeof wire) {
        failure.step = wire.step;
        failure.code = wire.code;
        failure.object.assign(wire.object, ::strnlen(wire.object, max_object));
    }
    if (command.report >= 0)
        ::close(command.report);
    command.report = -1;
    return failure;
}

} // namespace engine
