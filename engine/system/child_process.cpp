#include "engine/system/child_process.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <utility>

namespace engine {

namespace {

constexpr int child_descriptor = 3;

class spawn_actions {
  public:
    explicit spawn_actions(const program_start& what) {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawnattr_init(&attributes_);
        for (const int fd : {0, 1, 2})
            ::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", O_RDWR, 0);
        if (!what.folder.empty())
            ::posix_spawn_file_actions_addchdir_np(&actions_, what.folder.c_str());
        if (what.descriptor >= 0)
            ::posix_spawn_file_actions_adddup2(&actions_, what.descriptor, child_descriptor);
        ::posix_spawn_file_actions_addclosefrom_np(
            &actions_, child_descriptor + (what.descriptor >= 0 ? 1 : 0));
        sigset_t signals;
        sigemptyset(&signals);
        ::posix_spawnattr_setsigmask(&attributes_, &signals);
        sigfillset(&signals);
        ::posix_spawnattr_setsigdefault(&attributes_, &signals);
        const int session = what.session ? POSIX_SPAWN_SETSID : 0;
        ::posix_spawnattr_setflags(
            &attributes_, static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | session));
    }
    spawn_actions(const spawn_actions&) = delete;
    spawn_actions& operator=(const spawn_actions&) = delete;
    ~spawn_actions() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }

    const posix_spawn_file_actions_t* actions() const { return &actions_; }
    const posix_spawnattr_t* attributes() const { return &attributes_; }

  private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

} // namespace

bool has_ended(const unique_fd& handle, std::chrono::milliseconds limit) {
    pollfd entry{.fd = handle.get(), .events = POLLIN, .revents = 0};
    return ::poll(&entry, 1, static_cast<int>(limit.count())) == 1;
}

unique_fd open_process(pid_t pid) {
    unique_fd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!handle)
        throw_errno("open process", std::to_string(pid));
    return handle;
}

namespace {

/// The parent of a process, 0 when it is gone: the second field after the name, which may hold anything.
pid_t parent_of(pid_t pid) {
    const std::string line = read_file_if_there(fmt::format("/proc/{}/stat", pid)).value_or("");
    const auto name_end = line.rfind(')');
    if (name_end == std::string::npos)
        return 0;
    std::istringstream fields(line.substr(name_end + 1));
    char state = 0;
    pid_t parent = 0;
    fields >> state >> parent;
    return parent;
}

} // namespace

unique_fd open_parent_in_removed_folder(pid_t pid) {
    const pid_t parent = parent_of(pid);
    if (parent <= 1)
        return {};
    unique_fd handle(static_cast<int>(::syscall(SYS_pidfd_open, parent, 0)));
    std::error_code ignored;
    const std::string folder = std::filesystem::read_symlink(fmt::format("/proc/{}/cwd", parent), ignored);
    const bool is_it = handle && folder.ends_with(" (deleted)") && parent_of(pid) == parent;
    return is_it ? std::move(handle) : unique_fd();
}

child_process start_program(const program_start& what) {
    std::vector<std::string> words{what.program.native()};
    words.insert(words.end(), what.arguments.begin(), what.arguments.end());
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char* environment[] = {path.data(), nullptr};

    const spawn_actions how(what);
    child_process child;
    errno = ::posix_spawn(&child.pid, argv[0], how.actions(), how.attributes(), argv.data(), environment);
    if (errno != 0)
        throw_errno("start", what.program.native());
    child.handle = open_process(child.pid);
    return child;
}

std::optional<int> reap(const child_process& child) {
    siginfo_t info{};
    constexpr auto by_handle = static_cast<idtype_t>(P_PIDFD);
    if (::waitid(by_handle, static_cast<id_t>(child.handle.get()), &info, WEXITED | WNOHANG) != 0)
        return errno == ECHILD ? std::optional<int>(255) : std::nullopt;
    if (info.si_pid == 0)
        return std::nullopt;
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

void send_signal(const unique_fd& handle, int number) {
    if (::syscall(SYS_pidfd_send_signal, handle.get(), number, nullptr, 0) != 0 && errno != ESRCH)
        throw_errno("send signal", std::to_string(number));
}

bool has_sys_resource() {
    const std::string status = read_file("/proc/self/status");
    const std::size_t at = status.find("CapEff:");
    if (at == std::string::npos)
        return false;
    const unsigned long long bits = std::strtoull(status.c_str() + at + 7, nullptr, 16);
    return (bits >> CAP_SYS_RESOURCE & 1U) != 0;
}

} // namespace engine
