#include "engine/container/log_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <deque>

namespace engine {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t block = 64U << 10U;

off_t size_of(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 ? status.st_size : 0;
}

ino_t inode_of(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
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

unique_fd open_for_reading(const fs::path& path) {
    return unique_fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

} // namespace

void log_file::close_packed::operator()(gzFile_s* file) const {
    ::gzclose_r(file);
}

std::optional<log_file> log_file::open(const fs::path& path) {
    log_file made;
    const fs::path packed = path.native() + ".gz";
    // Compressed between the first look and the second, and moved on to this number between that and the
    // third.
    for (const fs::path* each : {&path, &packed, &path}) {
        made.fd_ = open_for_reading(*each);
        if (!made.fd_)
            continue;
        if (each != &packed)
            return made;
        made.origin_ = packed_origin_of(made.fd_.get());
        made.packed_.reset(::gzdopen(::fcntl(made.fd_.get(), F_DUPFD_CLOEXEC, 3), "rb"));
        if (made.packed_)
            return made;
    }
    return std::nullopt;
}

bool log_file::is_same(const log_file& other) const {
    if (inode_of(fd_.get()) == inode_of(other.fd_.get()))
        return true;
    if (is_plain() && other.is_plain())
        return false;
    return (is_plain() ? origin_of(fd_.get()) : origin_) ==
           (other.is_plain() ? origin_of(other.fd_.get()) : other.origin_);
}

ssize_t log_file::read(char* into, std::size_t size) {
    return is_plain() ? ::read(fd_.get(), into, size)
                      : ::gzread(packed_.get(), into, static_cast<unsigned>(size));
}

bool log_file::has_more() const {
    char byte = 0;
    return is_plain() && ::pread(fd_.get(), &byte, 1, position()) == 1;
}

off_t log_file::position() const {
    return ::lseek(fd_.get(), 0, SEEK_CUR);
}

off_t log_file::end_of_lines() const {
    off_t end = size_of(fd_.get());
    char byte = 0;
    while (end > 0 && (::pread(fd_.get(), &byte, 1, end - 1) != 1 || byte != '\n'))
        --end;
    return end;
}

void log_file::seek_end() {
    if (is_plain()) {
        ::lseek(fd_.get(), 0, SEEK_END);
        return;
    }
    std::string bytes(block, '\0');
    while (::gzread(packed_.get(), bytes.data(), static_cast<unsigned>(bytes.size())) > 0) {
    }
}

void log_file::seek_tail(std::size_t& lines, std::optional<off_t> end) {
    if (is_plain())
        ::lseek(fd_.get(), tail_offset(fd_.get(), lines, end.value_or(size_of(fd_.get()))), SEEK_SET);
    else
        seek_packed_tail(lines);
}

/// It can be read but forwards: the beginnings of the last lines seen are kept.
void log_file::seek_packed_tail(std::size_t& lines) {
    std::deque<z_off_t> begins;
    std::string bytes(block, '\0');
    bool fresh = true; // a line begins with the next byte
    z_off_t at = 0;
    for (int got = 1; got > 0;) {
        got = ::gzread(packed_.get(), bytes.data(), static_cast<unsigned>(bytes.size()));
        for (int index = 0; index < got; ++index, ++at) {
            if (fresh)
                begins.push_back(at);
            fresh = bytes[static_cast<std::size_t>(index)] == '\n';
            if (begins.size() > lines)
                begins.pop_front();
        }
    }
    lines -= begins.size();
    ::gzrewind(packed_.get());
    if (!begins.empty())
        ::gzseek(packed_.get(), begins.front(), SEEK_SET);
}

} // namespace engine
