#pragma once

#include "engine/shim/protocol.hpp"

namespace engine {

/// Mounts a tmpfs on `secrets` of the working directory and writes the files of the setup there, as 0, 1 …:
/// for the calling process's own mount namespace, from which the OCI runtime binds them into the container.
/// `contents`: the memory file that they are parts of; the bytes go from there to the tmpfs within the
/// kernel, so that no core of the shim can have them. 0, or errno with `what` naming the object.
int write_secret_files(const shim_setup& setup, int contents, const char*& what);

} // namespace engine
