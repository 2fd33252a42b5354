#pragma once

#include "engine/container/log_file.hpp"

#include <sys/types.h>

#include <cstddef>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace engine {

/// The files of one rotated log as a stream of lines, oldest first: FILE.N … FILE.1, FILE, those that were
/// rotated away compressed (FILE.N.gz) or not. Blocks; belongs to one worker at a time.
class log_files {
  public:
    /// `former`: a log that comes before this one and is not written any more; empty: none.
    explicit log_files(std::filesystem::path file, std::filesystem::path former = {})
        : file_(std::move(file)), former_(std::move(former)) {}

    /// Opens what is there, so that the next line read is the first of the last `tail` ones (unset: of all).
    /// Without `follow` the stream ends where the newest file ends at this moment: one who writes faster than
    /// we read is not chased.
    void open(std::optional<std::size_t> tail, bool follow = true);

    /// The next whole lines without their '\n', some 256 KiB at most; empty when there is nothing more for
    /// now. What was written into a file before it was rotated away is read before the file after it.
    std::vector<std::string> read();

  private:
    void open_all(const std::filesystem::path& file);
    void seek_tail(std::size_t lines);
    std::size_t readable() const;
    bool advance();
    bool open_successor();

    std::filesystem::path file_;
    std::filesystem::path former_;
    std::optional<off_t> end_;   // of the newest file, where the stream ends
    std::deque<log_file> files_; // the front one is being read
    std::string carry_;          // of a line that is not whole yet
};

} // namespace engine
