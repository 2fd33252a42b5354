#include "engine/container/process_list.hpp"

#include "engine/system/file.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>
#include <sstream>

namespace engine {

namespace {

/// Of /proc/PID/stat, what is shown.
struct process_times {
    std::string name;
    int parent = 0;
    int terminal = 0;
    double cpu = 0;     // seconds
    double started = 0; // seconds after the boot
};

std::optional<process_times> times_of(int pid) {
    const std::string text = read_file_if_there(fmt::format("/proc/{}/stat", pid)).value_or("");
    const auto open = text.find('(');
    const auto close = text.rfind(')'); // the name may have parentheses itself
    if (open == std::string::npos || close == std::string::npos)
        return std::nullopt;
    process_times times{.name = text.substr(open + 1, close - open - 1)};
    std::istringstream fields(text.substr(close + 1));
    std::array<std::string, 20> field; // from the third on: the state
    for (std::string& each : field)
        fields >> each;
    const auto number = [&](std::size_t at) { return std::strtod(field[at - 3].c_str(), nullptr); };
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    times.parent = static_cast<int>(number(4));
    times.terminal = static_cast<int>(number(7));
    times.cpu = (number(14) + number(15)) / ticks;
    times.started = number(22) / ticks;
    return times;
}

std::string user_of(int pid) {
    const std::string text = read_file_if_there(fmt::format("/proc/{}/status", pid)).value_or("");
    const auto at = text.find("\nUid:\t");
    if (at == std::string::npos)
        return "?";
    const auto id = static_cast<uid_t>(std::strtoul(text.c_str() + at + 6, nullptr, 10));
    passwd found{};
    passwd* result = nullptr;
    std::array<char, 4096> memory{};
    if (::getpwuid_r(id, &found, memory.data(), memory.size(), &result) == 0 && result != nullptr)
        return found.pw_name;
    return std::to_string(id);
}

std::string terminal_name(int device) {
    constexpr int pty_major = 136;
    const int major = device >> 8 & 0xFFF;
    const int minor = (device & 0xFF) | (device >> 12 & 0xFFF00);
    if (major >= pty_major && major < pty_major + 8)
        return fmt::format("pts/{}", (major - pty_major) * 256 + minor);
    return "?";
}

double uptime() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::string started_text(double age) {
    constexpr double day = 24 * 3600;
    const std::time_t when = std::time(nullptr) - static_cast<std::time_t>(age);
    std::tm parts{};
    ::localtime_r(&when, &parts);
    return age < day ? fmt::format("{:%H:%M}", parts) : fmt::format("{:%b%d}", parts);
}

std::string command_of(int pid, const std::string& name) {
    std::string text = read_file_if_there(fmt::format("/proc/{}/cmdline", pid)).value_or("");
    while (text.ends_with('\0'))
        text.pop_back();
    // A line each, whatever is in it.
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < ' '; }, ' ');
    return text.empty() ? fmt::format("[{}]", name) : text;
}

} // namespace

const std::vector<std::string>& process_titles() {
    static const std::vector<std::string> titles{"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"};
    return titles;
}

std::vector<std::vector<std::string>> processes_of(const container_cgroup& cgroup) {
    std::vector<std::vector<std::string>> rows;
    for (const int pid : cgroup.processes()) {
        const auto times = times_of(pid);
        if (!times)
            continue;
        const double age = std::max(uptime() - times->started, 0.0);
        const auto seconds = static_cast<long>(times->cpu);
        rows.push_back({user_of(pid), std::to_string(pid), std::to_string(times->parent),
            std::to_string(age > 0 ? static_cast<int>(times->cpu * 100 / age) : 0), started_text(age),
            terminal_name(times->terminal),
            fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
            command_of(pid, times->name)});
    }
    return rows;
}

} // namespace engine
