#include "engine/system/piped_program.hpp"

#include "compose/model/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace engine {

namespace {

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (std::string& each : texts)
        pointers.push_back(each.data());
    pointers.push_back(nullptr);
    return pointers;
}

} // namespace

piped_program::piped_program(std::vector<std::string> argv, std::vector<std::string> environment)
    : name_(argv.front()) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        throw_errno("start", name_);
    output_ = unique_fd(ends[0]);
    const unique_fd theirs(ends[1]);
    const std::vector<char*> words = pointers_to(argv);
    const std::vector<char*> variables = pointers_to(environment);
    posix_spawn_file_actions_t actions{};
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), 1);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    const int failure = ::posix_spawn(&pid_, words[0], &actions, nullptr, words.data(), variables.data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) {
        pid_ = 0;
        errno = failure;
        throw_errno("start", name_);
    }
}

piped_program::~piped_program() {
    if (pid_ == 0)
        return;
    ::kill(pid_, SIGKILL); // our child, not reaped yet: the number is its own
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

std::optional<std::string> piped_program::next_line() {
    constexpr std::size_t longest = 1U << 20U;
    for (;;) {
        if (const std::size_t end = read_.find('\n'); end != std::string::npos) {
            std::string line = read_.substr(0, end);
            read_.erase(0, end + 1);
            return line;
        }
        if (read_.size() > longest)
            throw compose::error(compose::error_kind::exhausted,
                fmt::format("\"{}\" printed a line of more than a mebibyte", name_));
        std::array<char, 4096> buffer{};
        const ssize_t count = ::read(output_.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            throw_errno("read from", name_);
        if (count == 0)
            return read_.empty() ? std::nullopt : std::optional(std::exchange(read_, {}));
        read_.append(buffer.data(), static_cast<std::size_t>(count));
    }
}

int piped_program::wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0)
        if (errno != EINTR)
            throw_errno("wait for", name_);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace engine
