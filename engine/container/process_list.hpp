#pragma once

#include "engine/system/cgroup.hpp"

#include <string>
#include <vector>

namespace engine {

/// What `ps -ef` calls its columns: UID, PID, PPID, C, STIME, TTY, TIME, CMD.
const std::vector<std::string>& process_titles();

/// The processes of a container as `ps -ef` of the host shows them, by pid; those that end meanwhile are left
/// out. Blocks.
std::vector<std::vector<std::string>> processes_of(const container_cgroup& cgroup);

} // namespace engine
