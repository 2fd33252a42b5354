#pragma once

#include "engine/container/launch.hpp"
#include "engine/project/container_manager.hpp"

namespace engine {

/// Opens what a container has of secrets and configs, for one start of it. Throws error{not_found} or
/// error{unavailable} naming the one that cannot be had.
task<contents_in_memory> contents_for(engine_parts parts, container_record record);

} // namespace engine
