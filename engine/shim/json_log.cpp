#include "engine/shim/json_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

namespace engine {

namespace {

constexpr std::size_t max_part = 16U << 10U;       // dockerd's copier splits lines here; readers rely on it
constexpr std::size_t longest_overrun = 1U << 20U; // of a file's limit, by a line that does not end
constexpr std::size_t max_batch = 64U << 10U;      // bytes of records held back for one write

// Length of the UTF-8 sequence at the start of `text`, 0 when it is not a valid one.
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const auto tail = [&](std::size_t at) { return at < text.size() && (byte(at) & 0xC0U) == 0x80U; };
    const unsigned first = byte(0);
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return tail(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        if (!tail(1) || !tail(2))
            return 0;
        const bool overlong = first == 0xE0 && byte(1) < 0xA0;
        const bool surrogate = first == 0xED && byte(1) > 0x9F;
        return overlong || surrogate ? 0 : 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (!tail(1) || !tail(2) || !tail(3))
            return 0;
        const bool overlong = first == 0xF0 && byte(1) < 0x90;
        const bool too_large = first == 0xF4 && byte(1) > 0x8F;
        return overlong || too_large ? 0 : 4;
    }
    return 0;
}

// How many of the first `limit` bytes may be cut off without cutting a character in two.
std::size_t cut_position(std::string_view text, std::size_t limit) {
    std::size_t at = limit;
    while (at > limit - 3 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U)
        --at;
    return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U ? limit : at;
}

void append_special(std::string& out, unsigned char byte) {
    static constexpr char digits[] = "0123456789abcdef";
    switch (byte) {
    case '"':
        out += "\\\"";
        break;
    case '\\':
        out += "\\\\";
        break;
    case '\n':
        out += "\\n";
        break;
    case '\r':
        out += "\\r";
        break;
    case '\t':
        out += "\\t";
        break;
    default:
        out += "\\u00";
        out += digits[byte >> 4U];
        out += digits[byte & 15U];
    }
}

std::string numbered(const std::string& path, unsigned number) {
    return path + "." + std::to_string(number);
}

} // namespace

void append_json_escaped(std::string& out, std::string_view text) {
    std::size_t plain = 0;
    std::size_t at = 0;
    while (at < text.size()) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if (byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\') {
            ++at;
            continue;
        }
        const std::size_t length = byte < 0x80 ? 1 : utf8_length(text.substr(at));
        if (byte >= 0x80 && length > 0) {
            at += length;
            continue;
        }
        out.append(text, plain, at - plain);
        if (byte < 0x80)
            append_special(out, byte);
        else
            out += "\\ufffd";
        plain = ++at;
    }
    out.append(text, plain);
}

void append_timestamp(std::string& out, std::int64_t nanoseconds) {
    constexpr std::int64_t second = 1'000'000'000;
    const auto seconds = static_cast<std::time_t>(nanoseconds / second);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[64];
    const int length = std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ",
        parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
        static_cast<int>(nanoseconds % second));
    out.append(text, static_cast<std::size_t>(length));
}

json_log::~json_log() {
    flush();
    if (fd_ >= 0)
        ::close(fd_);
}

bool json_log::open(std::string path, std::uint64_t max_size, unsigned max_files) {
    path_ = std::move(path);
    max_size_ = max_size;
    max_files_ = std::max(max_files, 1U);
    finish_rotation();
    return reopen();
}

bool json_log::reopen() {
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = ::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    struct stat status {};
    if (fd_ < 0 || ::fstat(fd_, &status) != 0)
        return false;
    size_ = static_cast<std::uint64_t>(status.st_size);
    // A shim that was killed may have left half a line: ours must not become its end.
    char last = '\n';
    torn_ = size_ > 0 && ::pread(fd_, &last, 1, status.st_size - 1) == 1 && last != '\n';
    return true;
}

void json_log::append(stream from, std::string_view bytes, std::int64_t now) {
    unfinished& line = pending_[from];
    while (!bytes.empty()) {
        const std::size_t newline = bytes.find('\n');
        const std::size_t length = newline == std::string_view::npos ? bytes.size() : newline + 1;
        if (line.text.empty() && newline != std::string_view::npos && length <= max_part) {
            record(from, bytes.substr(0, length), now);
        } else {
            line.text.append(bytes, 0, length);
            write_part(from, line.text, now);
        }
        bytes.remove_prefix(length);
    }
}

// Writes of the unfinished line what is whole or too long, and keeps the rest.
void json_log::write_part(stream from, std::string_view text, std::int64_t now) {
    unfinished& line = pending_[from];
    std::size_t written = 0;
    while (text.size() - written > max_part) {
        const std::size_t length = cut_position(text.substr(written), max_part);
        record(from, text.substr(written, length), now);
        line.continued = true;
        written += length;
    }
    if (text.ends_with('\n')) {
        record(from, text.substr(written), now);
        written = text.size();
    }
    line.text.erase(0, written);
}

void json_log::end(stream from, std::int64_t now) {
    unfinished& line = pending_[from];
    if (!line.text.empty())
        record(from, line.text, now);
    line.text.clear();
    line.continued = false;
    flush();
}

void json_log::record(stream from, std::string_view text, std::int64_t now) {
    if (tee_)
        tee_(from, text, now);
    const bool between_lines = !pending_[out].continued && !pending_[err].continued;
    if (text.ends_with('\n'))
        pending_[from].continued = false;
    if (path_.empty())
        return;
    // Better between lines; but a line that never ends must not keep the file from being rotated.
    const std::uint64_t size = size_ + batch_.size();
    if (max_size_ > 0 && (between_lines ? size >= max_size_ : size >= max_size_ + longest_overrun)) {
        flush();
        rotate();
    }
    encode(from, text, now);
    if (batch_.size() >= max_batch)
        flush();
}

void json_log::encode(stream from, std::string_view text, std::int64_t now) {
    last_ = now;
    batch_ += R"({"log":")";
    append_json_escaped(batch_, text);
    batch_ += from == out ? R"(","stream":"stdout",)" : R"(","stream":"stderr",)";
    if (!attributes_.empty())
        batch_.append(R"("attrs":)").append(attributes_).append(",");
    batch_ += R"("time":")";
    append_timestamp(batch_, now);
    batch_ += "\"}\n";
}

void json_log::flush() {
    if (batch_.empty())
        return;
    tell_loss();
    if (untold_ > 0 || !write_batch()) {
        dropped_ += batch_.size();
        untold_ += batch_.size();
    }
    batch_.clear();
    if (batch_.capacity() > 2 * max_batch)
        batch_.shrink_to_fit();
}

/// Before what comes after a gap. While that cannot be written either, nothing can.
void json_log::tell_loss() {
    if (untold_ == 0)
        return;
    std::string waiting;
    waiting.swap(batch_);
    char note[160];
    std::snprintf(note, sizeof note, "composed: %llu bytes of this log were lost: %s\n",
        static_cast<unsigned long long>(untold_), std::strerror(refusal_));
    encode(err, note, last_);
    if (write_batch())
        untold_ = 0;
    batch_.swap(waiting);
}

/// What was written of one that did not go whole is a torn line, which readers pass over.
bool json_log::write_batch() {
    if (fd_ < 0 && !reopen()) {
        refusal_ = errno;
        return false;
    }
    if (torn_)
        batch_.insert(0, 1, '\n');
    std::size_t done = 0;
    while (done < batch_.size()) {
        const ssize_t put = ::write(fd_, batch_.data() + done, batch_.size() - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            refusal_ = errno;
            break;
        }
        done += static_cast<std::size_t>(put);
    }
    size_ += done;
    if (done > 0)
        torn_ = batch_[done - 1] != '\n';
    return done == batch_.size();
}

/// FILE.N becomes FILE.N+1, compressed or not; both forms are there when a crash has come between.
void json_log::move_on(unsigned number) const {
    const std::string from = numbered(path_, number);
    const std::string to = numbered(path_, number + 1);
    const bool plain = ::rename(from.c_str(), to.c_str()) == 0;
    if (plain)
        ::unlink((to + ".gz").c_str());
    const bool packed = !plain && ::rename((from + ".gz").c_str(), (to + ".gz").c_str()) == 0;
    if (packed)
        ::unlink(to.c_str());
}

/// FILE is FILE.1 too before a new one takes its place: who opens it by its name (tail -F, a log shipper)
/// always finds one, however long the disk takes over the file that goes.
void json_log::rotate() {
    for (unsigned number = max_files_ - 1; number > 1; --number)
        move_on(number - 1);
    if (max_files_ > 1) {
        const std::string first = numbered(path_, 1);
        ::unlink(first.c_str());
        ::unlink((first + ".gz").c_str());
        if (::link(path_.c_str(), first.c_str()) != 0)
            ::rename(path_.c_str(), first.c_str());
    }
    replace();
    reopen();
    packer_.rotated();
}

/// By an empty one; where there is no room for that, by none, and the next batch tries again.
void json_log::replace() {
    const std::string fresh = path_ + ".new";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd >= 0)
        ::close(fd);
    if (fd < 0 || ::rename(fresh.c_str(), path_.c_str()) != 0)
        ::unlink(path_.c_str());
}

/// A shim was killed in the middle of a rotation: what has become FILE.1 is not to be written to any more.
void json_log::finish_rotation() {
    struct stat file {};
    struct stat first {};
    if (::stat(path_.c_str(), &file) == 0 && ::stat(numbered(path_, 1).c_str(), &first) == 0 &&
        file.st_dev == first.st_dev && file.st_ino == first.st_ino)
        replace();
}

} // namespace engine
