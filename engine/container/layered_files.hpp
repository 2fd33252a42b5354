#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// Reads a file of the tree that overlayfs would show over `folders` (topmost first), without mounting it:
/// whiteouts, opaque folders and symlinks count as they do there, and nothing outside the folders is ever
/// reached. Nothing when there is no such regular file. Throws error{exhausted} when it is larger than
/// `limit` bytes, error{invalid} when its symlinks form a circle.
std::optional<std::string> read_layered_file(
    const std::vector<std::filesystem::path>& folders, std::string_view path, std::size_t limit = 4U << 20U);

} // namespace engine
