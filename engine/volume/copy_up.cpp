#include "engine/volume/copy_up.hpp"

#include "compose/model/error.hpp"
#include "engine/system/overlay_view.hpp"

namespace engine {

void copy_from_layers(const std::vector<std::filesystem::path>& layers, const std::string& path,
    const std::filesystem::path& into) {
    if (layers.empty())
        return;
    // The kernel itself merges the layers, in a mount namespace that nobody else sees.
    in_overlay_view(layers, [&](const std::filesystem::path& root) { copy_tree_inside(root, path, into); });
}

} // namespace engine
