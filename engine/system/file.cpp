#include "engine/system/file.hpp"

#include "compose/model/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace engine {

unique_fd open_file(const std::filesystem::path& path, int flags, mode_t mode) {
    unique_fd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd)
        throw_errno("open", path.native());
    return fd;
}

namespace {

std::string read_all(const unique_fd& fd, const std::filesystem::path& path, std::size_t limit) {
    std::string text;
    std::size_t used = 0;
    for (;;) {
        if (used == text.size())
            text.resize(text.empty() ? 4096 : text.size() * 2);
        const ssize_t got = ::read(fd.get(), text.data() + used, text.size() - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            throw_errno("read", path.native());
        if (got == 0)
            break;
        used += static_cast<std::size_t>(got);
        if (used > limit)
            throw compose::error(compose::error_kind::exhausted,
                fmt::format("read \"{}\": larger than the limit of {} bytes", path.native(), limit));
    }
    text.resize(used);
    return text;
}

} // namespace

std::string read_file(const std::filesystem::path& path, std::size_t limit) {
    return read_all(open_file(path, O_RDONLY), path, limit);
}

std::optional<std::string> read_file_if_there(const std::filesystem::path& path, std::size_t limit) {
    const unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT)
        return std::nullopt;
    if (!fd)
        throw_errno("open", path.native());
    return read_all(fd, path, limit);
}

void flush_file(const std::filesystem::path& path) {
    const unique_fd file = open_file(path, O_RDONLY);
    if (::fsync(file.get()) != 0)
        throw_errno("flush", path.native());
}

void write_to(const unique_fd& file, std::string_view text, const std::filesystem::path& path) {
    while (!text.empty()) {
        const ssize_t put = ::write(file.get(), text.data(), text.size());
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            throw_errno("write", path.native());
        text.remove_prefix(static_cast<std::size_t>(put));
    }
}

void write_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
    const std::filesystem::path temporary = path.native() + ".tmp";
    write_to(open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode), text, temporary);
    if (::rename(temporary.c_str(), path.c_str()) != 0)
        throw_errno("rename", temporary.native());
}

void copy_rest(const unique_fd& from, const unique_fd& to, const std::filesystem::path& path) {
    for (;;) {
        const ssize_t copied = ::copy_file_range(from.get(), nullptr, to.get(), nullptr, 1U << 30U, 0);
        if (copied == 0)
            return;
        if (copied < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP))
            break;
        if (copied < 0)
            throw_errno("copy", path.native());
    }
    std::array<char, 64U << 10U> part{};
    for (;;) {
        const ssize_t got = ::read(from.get(), part.data(), part.size());
        if (got < 0)
            throw_errno("read", path.native());
        if (got == 0)
            return;
        write_to(to, {part.data(), static_cast<std::size_t>(got)}, path);
    }
}

void write_kernel_file(const std::filesystem::path& path, std::string_view value) {
    const unique_fd fd = open_file(path, O_WRONLY);
    if (::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size()))
        throw_errno(fmt::format("write \"{}\" to", value), path.native());
}

void keep_kernel_setting(const std::filesystem::path& path, std::string_view value) {
    constexpr std::size_t limit = 64;
    const std::optional<std::string> now = read_file_if_there(path, limit);
    if (now && *now != std::string(value) + "\n")
        write_kernel_file(path, value);
}

} // namespace engine
