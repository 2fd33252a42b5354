#pragma once

#include <sys/types.h>

#include <cstddef>

namespace engine {

/// How many TCP connections others have to what listens in the network namespace of the process. Blocks
/// shortly; 0 for a process that is gone.
std::size_t open_connections(pid_t process);

} // namespace engine
