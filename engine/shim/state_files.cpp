#include "engine/shim/state_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace engine {

namespace {

std::string read_small_file(const char* name) {
    char bytes[4096];
    const int fd = ::open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return {};
    const ssize_t got = ::read(fd, bytes, sizeof bytes);
    ::close(fd);
    return got > 0 ? std::string(bytes, static_cast<std::size_t>(got)) : std::string();
}

void field(std::string& out, const char* name, std::int64_t value) {
    out += out.empty() ? "{\"" : ",\"";
    out += name;
    out += "\":" + std::to_string(value);
}

} // namespace

std::string init_record(const shim_snapshot& snapshot, std::int64_t start_time) {
    std::string line;
    field(line, "generation", snapshot.generation);
    field(line, "pid", snapshot.pid);
    field(line, "start_time", start_time);
    field(line, "started_at", snapshot.started_at);
    return line + "}\n";
}

std::string exit_record_line(const shim_snapshot& snapshot) {
    std::string line;
    field(line, "generation", snapshot.generation);
    field(line, "code", snapshot.code);
    field(line, "signal", snapshot.signal);
    line += snapshot.oom != 0 ? ",\"oom\":true" : ",\"oom\":false";
    field(line, "finished_at", snapshot.finished_at);
    field(line, "ran_for", snapshot.ran_for);
    return line + "}\n";
}

bool replace_file(const char* name, const std::string& text) {
    const std::string temporary = std::string(name) + ".tmp";
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    const bool whole = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(fd);
    return whole && ::rename(temporary.c_str(), name) == 0;
}

std::int64_t read_number(const char* name) {
    const std::string text = read_small_file(name);
    char* end = nullptr;
    const long long value = std::strtoll(text.c_str(), &end, 10);
    return end == text.c_str() ? -1 : value;
}

std::int64_t start_time_of(const std::string& stat_line) {
    std::size_t at = stat_line.rfind(')');
    if (at == std::string::npos)
        return -1;
    // After the name come a blank and field 3.
    for (int number = 3; number <= 22; ++number) {
        at = stat_line.find(' ', at + 1);
        if (at == std::string::npos)
            return -1;
    }
    char* end = nullptr;
    const char* start = stat_line.c_str() + at + 1;
    const long long value = std::strtoll(start, &end, 10);
    return end == start ? -1 : value;
}

std::int64_t process_start_time(pid_t pid) {
    return start_time_of(read_small_file(("/proc/" + std::to_string(pid) + "/stat").c_str()));
}

bool has_oom_kill(const std::string& file) {
    const std::string text = read_small_file(file.c_str());
    const std::string key = "oom_kill ";
    // memory.oom_control also has a line oom_kill_disable: the blank tells them apart.
    for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1))
        if (at == 0 || text[at - 1] == '\n')
            return std::strtoll(text.c_str() + at + key.size(), nullptr, 10) > 0;
    return false;
}

} // namespace engine
