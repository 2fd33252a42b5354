#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace engine {

/// Copies what an image has at a path into a folder: the union of its layers (folders, topmost first) as
/// overlayfs shows it, with owners, modes, times and links. Links on the way to the path are followed inside
/// the image only. Nothing happens when the image has no folder there. Blocks.
void copy_from_layers(const std::vector<std::filesystem::path>& layers, const std::string& path,
    const std::filesystem::path& into);

} // namespace engine
