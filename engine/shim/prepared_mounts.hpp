#pragma once

#include "engine/shim/protocol.hpp"

#include <vector>

namespace engine {

/// The mounts of shim_setup::mounts, made in the mount namespace that the calling process has borrowed for
/// the OCI runtime: `mounts/INDEX` of the working directory. Each source is resolved once, by descriptor, so
/// nothing that others do to its path in between leads elsewhere. Descriptors stay open until the process
/// executes another program.
class prepared_mounts {
  public:
    /// `user_namespace`: of shim_setup::mapped_mounts; -1: none.
    prepared_mounts(const shim_setup& setup, int user_namespace)
        : setup_(setup), wanted_(setup.mounts), user_namespace_(user_namespace) {}

    /// Takes those with `shared`, while the namespace is still of one group with the host's. This and
    /// place_all(): 0, or errno with `what` naming the mount.
    int open_shared(const char*& what);
    int place_all(const char*& what);

  private:
    bool is_mapped(std::size_t index) const;

    const shim_setup& setup_;
    const std::vector<shim_mount>& wanted_;
    int user_namespace_;
    std::vector<int> trees_; // by index; -1: not yet taken
};

} // namespace engine
