#include "engine/container/log_files.hpp"

#include "compose/model/service.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace engine {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t block = 64U << 10U;
constexpr std::size_t batch = 256U << 10U;
constexpr std::size_t max_line = 1U << 20U; // the shim's are below 100 KiB; longer ones are not ours
constexpr unsigned max_files = compose::most_log_files;

off_t size_of(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 ? status.st_size : 0;
}

// Where the last `lines` lines before `size` begin; `lines` is reduced by those found.
off_t tail_offset(int fd, std::size_t& lines, off_t size) {
    std::string bytes(block, '\0');
    bool last = true; // the '\n' at the very end begins no line
    for (off_t end = size; end > 0;) {
        const off_t begin = std::max<off_t>(end - static_cast<off_t>(block), 0);
        const ssize_t got = ::pread(fd, bytes.data(), static_cast<std::size_t>(end - begin), begin);
        if (got <= 0)
            return end;
        for (off_t at = got; at-- > 0;) {
            const bool newline = bytes[static_cast<std::size_t>(at)] == '\n';
            if (newline && !last && --lines == 0)
                return begin + at + 1;
            last = false;
        }
        end = begin;
    }
    if (size > 0)
        --lines;
    return 0;
}

// The end of the last whole line: the shim may be in the middle of one.
off_t end_of_lines(int fd) {
    off_t end = size_of(fd);
    char byte = 0;
    while (end > 0 && (::pread(fd, &byte, 1, end - 1) != 1 || byte != '\n'))
        --end;
    return end;
}

} // namespace

fs::path log_files::numbered(unsigned number) const {
    return number == 0 ? file_ : fs::path(file_.native() + "." + std::to_string(number));
}

std::optional<log_files::opened> log_files::open_one(const fs::path& path) {
    opened result{.fd = unique_fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC))};
    struct stat status {};
    if (!result.fd || ::fstat(result.fd.get(), &status) != 0)
        return std::nullopt;
    result.inode = status.st_ino;
    return result;
}

void log_files::open(std::optional<std::size_t> tail, bool follow) {
    // Newest first: a rotation in between shows one file twice, which is seen by its inode, and never hides
    // one.
    for (unsigned number = 0; number < max_files; ++number) {
        auto next = open_one(numbered(number));
        if (!next && number > 0)
            break;
        const auto same = [&](const opened& each) { return each.inode == next->inode; };
        if (next && std::none_of(files_.begin(), files_.end(), same))
            files_.push_front(std::move(*next));
    }
    if (!follow)
        end_ = files_.empty() ? 0 : end_of_lines(files_.back().fd.get());
    if (tail)
        seek_tail(*tail);
}

void log_files::seek_tail(std::size_t lines) {
    std::size_t keep = 0;
    for (auto each = files_.rbegin(); each != files_.rend(); ++each) {
        ++keep;
        if (lines == 0) {
            ::lseek(each->fd.get(), 0, SEEK_END);
            break;
        }
        const bool newest = each == files_.rbegin();
        const off_t end = newest && end_ ? *end_ : size_of(each->fd.get());
        ::lseek(each->fd.get(), tail_offset(each->fd.get(), lines, end), SEEK_SET);
        if (lines == 0)
            break;
    }
    while (files_.size() > keep)
        files_.pop_front();
}

std::vector<std::string> log_files::read() {
    std::vector<std::string> lines;
    std::string bytes(block, '\0');
    for (std::size_t total = 0; total < batch;) {
        const ssize_t got = files_.empty() ? 0 : ::read(files_.front().fd.get(), bytes.data(), readable());
        if (got <= 0) {
            if (!advance())
                break;
            continue;
        }
        total += static_cast<std::size_t>(got);
        carry_.append(bytes, 0, static_cast<std::size_t>(got));
        std::size_t begin = 0;
        for (std::size_t end = carry_.find('\n'); end != std::string::npos; end = carry_.find('\n', begin)) {
            lines.push_back(carry_.substr(begin, end - begin));
            begin = end + 1;
        }
        carry_.erase(0, begin);
        if (carry_.size() > max_line)
            carry_.clear();
    }
    return lines;
}

// How much may be read from the front file at once.
std::size_t log_files::readable() const {
    if (!end_ || files_.size() > 1)
        return block;
    const off_t left = *end_ - ::lseek(files_.front().fd.get(), 0, SEEK_CUR);
    return static_cast<std::size_t>(std::clamp<off_t>(left, 0, static_cast<off_t>(block)));
}

// At the end of the front file: on to the one after it. False when there is none, and when the front file has
// grown meanwhile, as then it is not finished.
bool log_files::advance() {
    if (files_.size() < 2 && (end_ || !open_successor()))
        return false;
    if (files_.size() >= 2) {
        char byte = 0;
        const off_t at = ::lseek(files_.front().fd.get(), 0, SEEK_CUR);
        if (::pread(files_.front().fd.get(), &byte, 1, at) == 1)
            return true; // written just before it was rotated away
        files_.pop_front();
        carry_.clear();
    }
    return true;
}

bool log_files::open_successor() {
    if (files_.empty()) {
        auto first = open_one(file_);
        if (first)
            files_.push_back(std::move(*first));
        return first.has_value();
    }
    const ino_t current = files_.front().inode;
    std::optional<opened> newer;
    for (unsigned number = 0; number < max_files; ++number) {
        auto candidate = open_one(numbered(number));
        if (!candidate && number > 0)
            break;
        if (candidate && candidate->inode == current)
            break;
        if (candidate)
            newer = std::move(candidate);
    }
    if (!newer)
        return false;
    files_.push_back(std::move(*newer));
    return true;
}

} // namespace engine
