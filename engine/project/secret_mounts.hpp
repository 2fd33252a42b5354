#pragma once

#include "engine/container/launch.hpp"
#include "engine/project/container_manager.hpp"

#include <vector>

namespace engine {

/// Opens what a container has of secrets and configs, for one start of it. Throws error{not_found} or
/// error{unavailable} naming the one that cannot be had, error{invalid} for one that is to lie below one of
/// the `mounts` where no file can be made.
task<contents_in_memory> contents_for(
    engine_parts parts, container_record record, std::vector<container_mount> mounts);

} // namespace engine
