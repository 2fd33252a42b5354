#pragma once

#include "engine/system/fd.hpp"

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace engine {

/// Opens with O_CLOEXEC added to `flags`. Throws error naming the path.
unique_fd open_file(const std::filesystem::path& path, int flags, mode_t mode = 0);

/// The whole file. Throws error{exhausted} when it is larger than `limit` bytes, not_found when there is
/// none.
std::string read_file(const std::filesystem::path& path, std::size_t limit = 16U << 20U);

/// As read_file, but nothing where there is no such file.
std::optional<std::string> read_file_if_there(
    const std::filesystem::path& path, std::size_t limit = 16U << 20U);

/// Writes `text` to a temporary name beside `path` and renames it, so a reader sees the old or the new file,
/// whole. Not flushed: what must survive a power cut belongs in the store.
void write_file(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644);

/// Returns when the file's content is on disk.
void flush_file(const std::filesystem::path& path);

/// All of `text` to an open file; `path` is for the message.
void write_to(const unique_fd& file, std::string_view text, const std::filesystem::path& path);

/// All that is left to read of one open file to another; `path` is for the message.
void copy_rest(const unique_fd& from, const unique_fd& to, const std::filesystem::path& path);

/// Writes into an existing kernel file (sysctl, cgroup) with one write(2). Throws error naming file and
/// value.
void write_kernel_file(const std::filesystem::path& path, std::string_view value);

/// As write_kernel_file(), unless the file has the value already or this kernel has no such file.
void keep_kernel_setting(const std::filesystem::path& path, std::string_view value);

} // namespace engine
