#pragma once

#include "engine/shim/log_packer.hpp"
#include "engine/system/fd.hpp"

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

struct gzFile_s;

namespace engine {

/// One file of a log, read from its beginning on, compressed or not. Blocks; belongs to one worker at a time.
class log_file {
  public:
    /// The file of that name, or NAME.gz; nothing when there is neither.
    static std::optional<log_file> open(const std::filesystem::path& path);

    /// Whether they hold the same: `other` may be what this one was compressed into, or the other way round.
    bool is_same(const log_file& other) const;

    /// May still be written to.
    bool is_plain() const { return packed_ == nullptr; }

    /// As read(2), of what was written.
    ssize_t read(char* into, std::size_t size);

    /// A plain one has grown since the end of it was read.
    bool has_more() const;

    /// Where a plain one stands.
    off_t position() const;

    /// The end of the last whole line of a plain one: the shim may be in the middle of the next.
    off_t end_of_lines() const;

    void seek_end();

    /// Goes to where the last `lines` (at least one) lines before `end` (unset: before its end) begin;
    /// `lines` is reduced by those found.
    void seek_tail(std::size_t& lines, std::optional<off_t> end);

  private:
    struct close_packed {
        void operator()(gzFile_s* file) const;
    };

    void seek_packed_tail(std::size_t& lines);

    unique_fd fd_;
    log_origin origin_; // of one that is compressed
    std::unique_ptr<gzFile_s, close_packed> packed_;
};

} // namespace engine
