#include "engine/container/stats.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <string_view>

namespace engine {

namespace {

unique_fd open_if_there(const std::filesystem::path& file) {
    return unique_fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
}

std::string text_of(const unique_fd& file) {
    std::string text;
    if (!file)
        return text;
    std::string part(16U << 10U, '\0');
    for (;;) { // a kernel file may give less than there is
        const ssize_t got = ::pread(file.get(), part.data(), part.size(), static_cast<off_t>(text.size()));
        if (got <= 0)
            return text;
        text.append(part, 0, static_cast<std::size_t>(got));
    }
}

std::uint64_t number_at(std::string_view text) {
    std::uint64_t number = 0; // also for "max"
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

/// "KEY NUMBER" of a line.
std::uint64_t value_of(const std::string& text, const std::string& key) {
    const std::string wanted = key + " ";
    std::size_t at = text.starts_with(wanted) ? 0 : text.find("\n" + wanted);
    if (at == std::string::npos)
        return 0;
    at += at == 0 && text.starts_with(wanted) ? 0 : 1;
    return number_at(std::string_view(text).substr(at + wanted.size()));
}

void read_network(const std::string& text, usage_sample& into) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const auto colon = line.find(':');
        if (colon == std::string::npos)
            continue; // of the head
        const auto begin = line.find_first_not_of(' ');
        if (line.substr(begin, colon - begin) == "lo")
            continue;
        std::istringstream fields(line.substr(colon + 1));
        std::uint64_t value = 0;
        for (int column = 0; column < 9 && fields >> value; ++column) {
            into.received += column == 0 ? value : 0;
            into.sent += column == 8 ? value : 0;
        }
    }
}

/// v1: "8:0 Read 4096"; v2: "8:0 rbytes=4096 wbytes=0 …".
void read_blocks(const std::string& text, usage_sample& into) {
    std::istringstream words(text);
    std::string before;
    for (std::string word; words >> word; before = word) {
        if (before == "Read")
            into.block_read += number_at(word);
        else if (before == "Write")
            into.block_written += number_at(word);
        else if (word.starts_with("rbytes="))
            into.block_read += number_at(std::string_view(word).substr(7));
        else if (word.starts_with("wbytes="))
            into.block_written += number_at(std::string_view(word).substr(7));
    }
}

/// Then what goes through it is the host's, not the container's.
bool has_network_of_host(pid_t process) {
    std::error_code unknown;
    const auto theirs = std::filesystem::read_symlink(fmt::format("/proc/{}/ns/net", process), unknown);
    return !unknown && theirs == std::filesystem::read_symlink("/proc/self/ns/net", unknown);
}

} // namespace

usage_reader::usage_reader(const container_cgroup& cgroup, pid_t first_process)
    : unified_(cgroup.mode() == cgroup_mode::unified),
      host_memory_(static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                   static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))) {
    const auto open = [&](const std::string& controller, const std::string& v1, const std::string& v2) {
        return open_if_there(cgroup.folder(controller) / (unified_ ? v2 : v1));
    };
    cpu_ = open("cpuacct", "cpuacct.usage", "cpu.stat");
    memory_ = open("memory", "memory.usage_in_bytes", "memory.current");
    memory_stat_ = open("memory", "memory.stat", "memory.stat");
    memory_limit_ = open("memory", "memory.limit_in_bytes", "memory.max");
    io_ = open("blkio", "blkio.throttle.io_service_bytes_recursive", "io.stat");
    processes_ = open("pids", "pids.current", "pids.current");
    if (!has_network_of_host(first_process))
        network_ = open_if_there(fmt::format("/proc/{}/net/dev", first_process));
}

usage_sample usage_reader::read() const {
    usage_sample sample;
    sample.time = std::chrono::steady_clock::now();
    const std::string cpu = text_of(cpu_);
    sample.cpu = unified_ ? std::chrono::nanoseconds(std::chrono::microseconds(value_of(cpu, "usage_usec")))
                          : std::chrono::nanoseconds(number_at(cpu));
    const std::uint64_t cache =
        value_of(text_of(memory_stat_), unified_ ? "inactive_file" : "total_inactive_file");
    const std::uint64_t all = number_at(text_of(memory_));
    sample.memory = all - std::min(cache, all);
    const std::uint64_t limit = number_at(text_of(memory_limit_));
    sample.memory_limit = limit == 0 ? host_memory_ : std::min(limit, host_memory_);
    read_blocks(text_of(io_), sample);
    read_network(text_of(network_), sample);
    sample.processes = number_at(text_of(processes_));
    return sample;
}

} // namespace engine
