#pragma once

#include <sys/types.h>

namespace engine {

/// Mounts the /dev/shm of the container whose first process is `of` at `shm` of the working directory, in the
/// mount namespace that the calling process has borrowed for the OCI runtime. 0, or errno with `what` naming
/// what failed.
int share_memory(pid_t of, const char*& what);

} // namespace engine
