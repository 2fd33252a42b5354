#pragma once

#include "engine/shim/log_packer.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace engine {

/// Appends `text` as the inside of a JSON string; bytes that are not UTF-8 become U+FFFD.
void append_json_escaped(std::string& out, std::string_view text);

/// Appends "2026-01-02T03:04:05.123456789Z" for nanoseconds since 1970.
void append_timestamp(std::string& out, std::int64_t nanoseconds);

/// Writes Docker's json-file format: one object a line, {"log":"text\n","stream":"stdout","time":"…"}.
///
/// Lines longer than 16 KiB are written in parts without "\n" but the last, as dockerd does. When the file
/// has reached its size it becomes FILE.1, FILE.1 FILE.2 and so on, the oldest removed; never
/// between the parts of one line (moby 41650) and never by truncating (moby 40584). A disk that refuses costs
/// lines, which are counted, and never the container: it is tried again with the next batch (nerdctl 4591),
/// and a line of ours tells how much is missing.
class json_log {
  public:
    enum stream { out = 0, err = 1 };

    json_log() = default;
    json_log(const json_log&) = delete;
    json_log& operator=(const json_log&) = delete;
    ~json_log();

    /// `max_size` in bytes, 0 for no rotation; `max_files` at least 1. False with errno set; the log then
    /// discards until a rotation or a write can open it.
    bool open(std::string path, std::uint64_t max_size, unsigned max_files);

    /// Files that are rotated away are compressed from now on, those of earlier runs too. After open().
    void compress() { packer_.open(path_, max_files_); }

    /// True when the process was one of ours.
    bool on_exit(pid_t pid, int status) { return packer_.on_exit(pid, status); }

    /// A JSON object that each line has as "attrs".
    void set_attributes(std::string object) { attributes_ = std::move(object); }

    /// Who gets each line as it is recorded, a long one in parts of which the last ends in '\n'.
    using tee = std::function<void(stream from, std::string_view text, std::int64_t now)>;
    void set_tee(tee to) { tee_ = std::move(to); }

    /// Takes what was read from a stream at `now` (ns since 1970). Nothing is written before flush().
    void append(stream from, std::string_view bytes, std::int64_t now);

    /// The stream has ended: what it has left without a newline becomes a line.
    void end(stream from, std::int64_t now);

    /// Writes everything that is whole.
    void flush();

    std::uint64_t dropped_bytes() const { return dropped_; }

  private:
    struct unfinished {
        std::string text;
        bool continued = false; // parts of this line are written already
    };

    void record(stream from, std::string_view text, std::int64_t now);
    void encode(stream from, std::string_view text, std::int64_t now);
    void tell_loss();
    bool write_batch();
    void move_on(unsigned number) const;
    void write_part(stream from, std::string_view text, std::int64_t now);
    bool reopen();
    void rotate();
    void replace();
    void finish_rotation();

    std::string path_;
    std::uint64_t max_size_ = 0;
    unsigned max_files_ = 1;
    int fd_ = -1;
    std::uint64_t size_ = 0;
    bool torn_ = false; // the file ends inside a line
    std::uint64_t dropped_ = 0;
    std::uint64_t untold_ = 0; // of these
    int refusal_ = 0;          // errno of the last one
    std::int64_t last_ = 0;    // time of the last record
    std::string attributes_;
    tee tee_;
    log_packer packer_;
    std::string batch_;
    unfinished pending_[2];
};

} // namespace engine
