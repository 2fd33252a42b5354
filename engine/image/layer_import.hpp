#pragma once

#include "engine/image/byte_source.hpp"
#include "engine/image/digest.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace engine {

/// A folder for something half made, gone with this object: what a crash leaves is found by its name, tmp-*.
class temporary_folder {
  public:
    explicit temporary_folder(const std::filesystem::path& beside);
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    ~temporary_folder();

    const std::filesystem::path& path() const noexcept { return path_; }

  private:
    std::filesystem::path path_;
};

/// Removes what temporary_folder objects of an earlier process have left.
void remove_temporary_folders(const std::filesystem::path& beside);

/// A layer as an image names it.
struct expected_layer {
    digest diff_id;                // of the plain tar
    std::optional<digest> content; // of the bytes as they come, where the image says so
};

struct imported_layer {
    std::uint64_t bytes = 0;
    std::vector<std::string> implicit_folders;
};

/// Unpacks a layer (plain, gzip or zstd) into images/layers/DIFF_ID: hashing and inflating on one thread,
/// hashing, reading the tar and writing files on this one. The folder appears whole and verified, or not at
/// all. Blocks. Throws error{invalid} where a digest does not match.
imported_layer import_layer(
    byte_source& content, const expected_layer& expected, const std::filesystem::path& images);

/// Folders that a layer has only because something is in them look as the layer below has them: without that,
/// an upper layer with one file in /tmp would take the sticky bit from it. `below` are layer folders, nearest
/// first. Repeatable. Blocks.
void settle_implicit_folders(const std::filesystem::path& layer,
    const std::vector<std::string>& implicit_folders, const std::vector<std::filesystem::path>& below);

} // namespace engine
