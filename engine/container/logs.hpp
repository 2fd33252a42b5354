#pragma once

#include "engine/system/blocking.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

enum class log_stream { out, err };

/// One record of a json-file log. `text` ends in '\n' unless it is a part of a line longer than 16 KiB, or
/// the process ended without one.
struct log_entry {
    log_stream stream = log_stream::out;
    std::chrono::system_clock::time_point time;
    std::string text;

    bool operator==(const log_entry&) const = default;
};

struct log_query {
    std::optional<std::size_t> tail; // lines from the end; unset: all
    std::optional<std::chrono::system_clock::time_point> since;
    std::optional<std::chrono::system_clock::time_point> until;
    bool out = true;
    bool err = true;
    bool follow = false;
};

/// Parses one line of a json-file log (without its '\n'); nothing when it is not one (torn by a crash).
std::optional<log_entry> parse_log_line(std::string_view line);

/// Reads a container's log: FILE.N … FILE.1, then FILE. Files that rotate away under the reader are finished
/// first, by their inode, then the new one is read. Waits by inotify, never by polling. `former`: a log
/// that is shown before it (former_logs.hpp); empty: none.
class log_reader {
  public:
    log_reader(
        executors executors, std::filesystem::path file, log_query query, std::filesystem::path former = {});
    ~log_reader();
    log_reader(log_reader&&) noexcept = default;
    log_reader& operator=(log_reader&&) noexcept;

    /// The next entries, in order; empty at the end. With `follow` it waits for more until finish().
    task<std::vector<log_entry>> next();

    /// The container is gone: next() gives what is still there and then ends.
    void finish();

    /// It writes again: next() goes on where it was, whether it has ended meanwhile or not.
    void go_on();

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

/// The last `count` lines, without their ends; none when there is no log, or it cannot be read.
task<std::vector<std::string>> last_lines(executors on, std::filesystem::path file, std::size_t count);

} // namespace engine
