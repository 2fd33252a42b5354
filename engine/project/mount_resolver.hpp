#pragma once

#include "engine/container/launch.hpp"
#include "engine/image/config.hpp"
#include "engine/project/container_manager.hpp"

#include <filesystem>
#include <vector>

namespace engine {

/// Makes sure that what a container mounts is there and says where: volumes (made, filled from the image when
/// they are empty and new), bind sources (made as folders where create_host_path allows it). Throws
/// error{not_found} naming a bind source that is missing.
task<std::vector<container_mount>> resolve_mounts(engine_parts parts, container_record record,
    image_config image, std::vector<std::filesystem::path> layers);

} // namespace engine
