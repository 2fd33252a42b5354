#pragma once

#include "engine/shim/protocol.hpp"
#include "engine/shim/runtime_command.hpp"

namespace engine {

/// Moves the calling process, a fork that is about to become the OCI runtime, into a mount namespace of its
/// own and mounts the container's overlay there on `rootfs` of the working directory. The runtime clones the
/// container's namespace from this one, so the mount is never seen on the host and goes with its last
/// process.
///
/// Makes sure that what the runtime mounts on is there and real: a /dev that is a symlink of the image would
/// be followed by crun before 1.28 (CVE-2026-47766). Makes the mounts of shim_setup::mounts as well.
/// With a user namespace,
/// files have the ids of it, and the namespace is at run_file::user_namespace for the runtime to join. 0, or
/// errno with `what` naming the object and `step` what it is of.
int prepare_root_filesystem(
    const shim_setup& setup, const runtime_surroundings& with, const char*& what, failure_step& step);

/// Only the mount namespace, for the runtime's other commands on hosts where it must not see the unified
/// cgroup.
int hide_unified_cgroup(const char*& what);

} // namespace engine
