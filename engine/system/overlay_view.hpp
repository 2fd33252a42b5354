#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace engine {

/// Mounts the layers (folders, topmost first) as one read-only tree in a mount namespace of its own, runs
/// `work` with its root on a thread that ends afterwards, and lets both go. Nothing of it is seen on the
/// host. Blocks; passes on what `work` throws.
void in_overlay_view(const std::vector<std::filesystem::path>& layers,
    const std::function<void(const std::filesystem::path& root)>& work);

/// Copies the content of the folder `path` inside `root` into the existing folder `into`, and the folder's
/// own owner and mode to it. Does nothing when there is no such folder. Links in `path` lead nowhere but into
/// `root`.
void copy_tree_inside(
    const std::filesystem::path& root, const std::string& path, const std::filesystem::path& into);

} // namespace engine
