#include "engine/shim/early_signals.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace engine {

namespace {

constexpr std::int64_t patience = 1'000'000'000;
constexpr std::int64_t pause_between = 2'000'000;

std::int64_t now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

bool is_unstoppable(int number) {
    return number == SIGKILL || number == SIGSTOP;
}

/// A line of /proc/PID/status; null when it has none of that name.
const char* value_of(const char* status, const char* name) {
    const char* at = std::strstr(status, name);
    return at == nullptr ? nullptr : at + std::strlen(name);
}

bool is_first_of_its_namespace(const char* status) {
    const char* numbers = value_of(status, "\nNSpid:");
    if (numbers == nullptr)
        return false;
    const char* end = std::strchr(numbers, '\n');
    return end != nullptr && end - numbers >= 2 && end[-1] == '1' && end[-2] == '\t';
}

/// The file /proc/PID/NAME as far as there is room; empty when it cannot be read.
template <std::size_t Room>
void read_proc(pid_t process, const char* name, char (&into)[Room]) {
    char path[32];
    std::snprintf(path, sizeof path, "/proc/%d/%s", process, name);
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t length = file < 0 ? 0 : ::read(file, into, Room - 1);
    into[std::max<ssize_t>(length, 0)] = '\0';
    if (file >= 0)
        ::close(file);
}

} // namespace

bool hears_signal(pid_t process, int number) {
    char status[4096];
    read_proc(process, "status", status);
    if (!is_first_of_its_namespace(status)) // or it has gone
        return true;
    const unsigned long long bit = 1ULL << (number - 1);
    for (const char* name : {"\nSigBlk:\t", "\nSigIgn:\t", "\nSigCgt:\t"})
        if (const char* mask = value_of(status, name);
            mask != nullptr && (std::strtoull(mask, nullptr, 16) & bit) != 0)
            return true;
    // While sigwaitinfo(2) waits, as ours and other inits do, what it waits for is not shown as blocked.
    char place[64];
    read_proc(process, "wchan", place);
    return std::strstr(place, "sigtimedwait") != nullptr;
}

void early_signals::send(pid_t process, std::int64_t started, int number) {
    process_ = process;
    until_ = started + patience;
    if (is_unstoppable(number) || now() >= until_ || (waiting_.empty() && hears_signal(process, number))) {
        ::kill(process, number);
        return;
    }
    waiting_.push_back(number);
    retry_at_ = now() + pause_between;
}

void early_signals::retry() {
    if (waiting_.empty() || now() < retry_at_)
        return;
    const bool over = now() >= until_;
    while (!waiting_.empty() && (over || hears_signal(process_, waiting_.front()))) {
        ::kill(process_, waiting_.front());
        waiting_.erase(waiting_.begin());
    }
    retry_at_ = waiting_.empty() ? 0 : now() + pause_between;
}

void early_signals::forget() {
    waiting_.clear();
    retry_at_ = 0;
}

} // namespace engine
