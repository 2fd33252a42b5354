#include "engine/shim/log_packer.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace engine {

namespace {

constexpr unsigned char marker[4] = {'c', 'L', sizeof(log_origin), 0}; // RFC 1952: two letters, then the size
constexpr int gzip_window = 15 + 16;
constexpr int level = 4; // half as fast as 1, and logs become a tenth
constexpr int memory_level = 8;
constexpr int lowest_priority = 19;
constexpr int idle_io = 3 << 13; // IOPRIO_CLASS_IDLE

bool write_all(int fd, const unsigned char* bytes, std::size_t size) {
    while (size > 0) {
        const ssize_t put = ::write(fd, bytes, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        bytes += put;
        size -= static_cast<std::size_t>(put);
    }
    return true;
}

bool compress(int from, int to) {
    const log_origin origin = origin_of(from);
    unsigned char extra[sizeof marker + sizeof origin];
    std::memcpy(extra, marker, sizeof marker);
    std::memcpy(extra + sizeof marker, &origin, sizeof origin);
    gz_header header{};
    header.os = 3; // Unix
    header.extra = extra;
    header.extra_len = sizeof extra;
    z_stream stream{};
    if (::deflateInit2(&stream, level, Z_DEFLATED, gzip_window, memory_level, Z_DEFAULT_STRATEGY) != Z_OK ||
        ::deflateSetHeader(&stream, &header) != Z_OK)
        return false;
    static unsigned char in[64U << 10U];
    static unsigned char out[64U << 10U];
    for (int flush = Z_NO_FLUSH; flush != Z_FINISH;) {
        const ssize_t got = ::read(from, in, sizeof in);
        if (got < 0)
            return false;
        flush = got == 0 ? Z_FINISH : Z_NO_FLUSH;
        stream.next_in = in;
        stream.avail_in = static_cast<uInt>(got);
        do {
            stream.next_out = out;
            stream.avail_out = sizeof out;
            ::deflate(&stream, flush);
            if (!write_all(to, out, sizeof out - stream.avail_out))
                return false;
        } while (stream.avail_out == 0);
    }
    return ::deflateEnd(&stream) == Z_OK;
}

/// In the child: nothing else of its parent's may stay open in it, the lock least of all.
[[noreturn]] void pack(int in, const char* to, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent)
        ::_exit(1);
    ::dup2(in, 0);
    ::syscall(SYS_close_range, 1U, ~0U, 0U);
    ::setpriority(PRIO_PROCESS, 0, lowest_priority);
    ::syscall(SYS_ioprio_set, 1, 0, idle_io);
    const int out = ::open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    const bool done = out >= 0 && compress(0, out) && ::close(out) == 0;
    if (!done)
        ::unlink(to);
    ::_exit(done ? 0 : 1);
}

} // namespace

log_origin origin_of(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        return {};
    constexpr std::int64_t second = 1'000'000'000;
    return {.inode = status.st_ino,
        .size = static_cast<std::uint64_t>(status.st_size),
        .modified = status.st_mtim.tv_sec * second + status.st_mtim.tv_nsec};
}

log_origin packed_origin_of(int fd) {
    unsigned char bytes[256];
    unsigned char extra[sizeof marker + sizeof(log_origin)];
    const ssize_t got = ::pread(fd, bytes, sizeof bytes, 0);
    gz_header header{};
    header.extra = extra;
    header.extra_max = sizeof extra;
    z_stream stream{};
    if (got <= 0 || ::inflateInit2(&stream, gzip_window) != Z_OK)
        return {};
    unsigned char out[1];
    stream.next_in = bytes;
    stream.avail_in = static_cast<uInt>(got);
    stream.next_out = out;
    stream.avail_out = sizeof out;
    ::inflateGetHeader(&stream, &header);
    ::inflate(&stream, Z_BLOCK);
    ::inflateEnd(&stream);
    log_origin origin;
    if (header.done == 1 && header.extra != nullptr && header.extra_len == sizeof extra &&
        std::memcmp(extra, marker, sizeof marker) == 0)
        std::memcpy(&origin, extra + sizeof marker, sizeof origin);
    return origin;
}

void log_packer::open(std::string file, unsigned max_files) {
    file_ = std::move(file);
    max_files_ = max_files;
    begin();
}

void log_packer::rotated() {
    ++number_;
    if (child_ < 0)
        begin();
    else if (number_ >= max_files_)
        ::kill(child_, SIGKILL); // the file has gone
}

/// The newest first: under a flood older ones go before it is their turn.
void log_packer::begin() {
    if (file_.empty())
        return;
    for (number_ = 1; number_ < max_files_; ++number_) {
        if (::access(numbered(number_).c_str(), F_OK) == 0)
            break;
        if (::access((numbered(number_) + ".gz").c_str(), F_OK) != 0)
            return;
    }
    if (number_ >= max_files_)
        return;
    const int from = ::open(numbered(number_).c_str(), O_RDONLY | O_CLOEXEC); // it may move on at any time
    if (from < 0)
        return;
    const std::string to = file_ + ".gz.tmp";
    const pid_t parent = ::getpid();
    child_ = ::fork();
    if (child_ == 0)
        pack(from, to.c_str(), parent);
    ::close(from);
}

bool log_packer::on_exit(pid_t pid, int status) {
    if (child_ < 0 || pid != child_)
        return false;
    child_ = -1;
    const std::string temporary = file_ + ".gz.tmp";
    const bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0 && number_ < max_files_ &&
                      ::rename(temporary.c_str(), (numbered(number_) + ".gz").c_str()) == 0;
    if (!done) {
        ::unlink(temporary.c_str());
        if (number_ < max_files_)
            return true; // a full disk, it may be: it is tried again with the next rotation
    } else {
        ::unlink(numbered(number_).c_str());
    }
    begin();
    return true;
}

} // namespace engine
