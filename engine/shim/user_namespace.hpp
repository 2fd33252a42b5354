#pragma once

#include "engine/shim/protocol.hpp"

#include <sys/types.h>

namespace engine {

// A container whose ids are not the host's (composed.yaml: userns_remap). On disk its files keep the ids that
// they have inside: layers, its own upper folder and volumes are mounted with an id map (mount_setattr(2),
// Linux 5.19 for overlayfs), so the same container may run with other ids, or with the host's, at its next
// start.

/// Namespaces made together, as a network namespace belongs to the user namespace it is made in.
struct own_namespaces {
    int user = -1;
    int network = -1; // -1 unless asked for
};

/// A user namespace with the ids of `setup`, unless `made` has one, and a network namespace of it where that
/// is wanted, both held open by descriptors alone. 0, or errno.
int make_user_namespace(const shim_setup& setup, bool with_network, own_namespaces& made);

/// The user namespace of a process. 0, or errno.
int user_namespace_of(pid_t process, int& user);

/// A mount that is attached to nothing yet shows its files' ids as those of `user`. 0, or errno (EINVAL: its
/// file system cannot).
int map_owners(int tree, int user);

/// As map_owners(), of what an overlay is to be made of: it is mounted at `place`, one over the other, as
/// kernels before Linux 6.15 take no layer whose mount is attached to nothing (clone_private_mount).
int map_layer(int tree, int user, const char* place);

} // namespace engine
