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

/// A tree that layers, a writable one on top of them and mounts make together.
struct tree_parts {
    std::vector<std::filesystem::path> layers; // topmost first
    std::filesystem::path upper;               // made when missing
    std::filesystem::path work;                // of overlayfs, beside it; likewise

    struct mount {
        std::filesystem::path source; // of the host
        std::string target;           // inside; links lead nowhere but into the tree
        bool read_only = false;
    };
    std::vector<mount> mounts; // what there is no source or target for is left out
};

/// As in_overlay_view(), with the whole tree, and writable. Nobody else may have `upper` mounted meanwhile.
void in_tree_view(
    const tree_parts& parts, const std::function<void(const std::filesystem::path& root)>& work);

/// Copies the content of the folder `path` inside `root` into the existing folder `into`, and the folder's
/// own owner and mode to it. Does nothing when there is no such folder. Links in `path` lead nowhere but into
/// `root`.
void copy_tree_inside(
    const std::filesystem::path& root, const std::string& path, const std::filesystem::path& into);

} // namespace engine
