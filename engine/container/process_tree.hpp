#pragma once

#include "engine/system/cgroup.hpp"

#include <sys/types.h>

namespace engine {

/// Kills a process of a container with all that it has begun: its descendants, and what is left of sessions
/// that they have opened. Never anything outside of the cgroup. Blocks.
void kill_tree(const container_cgroup& cgroup, pid_t root);

} // namespace engine
