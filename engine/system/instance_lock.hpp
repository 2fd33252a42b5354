#pragma once

#include "engine/system/fd.hpp"

#include <filesystem>
#include <string>

namespace engine {

/// The right to be the only daemon of an instance in this network namespace and the only one in a run folder:
/// two would clear away one another's containers, bridges and firewall. Both locks end with the process,
/// however it ends.
class instance_lock {
  public:
    /// Throws error{conflict} when another daemon has either, and keeps it for a second.
    instance_lock(const std::string& instance, const std::filesystem::path& run);

  private:
    unique_fd name_; // an abstract socket: its names are those of the network namespace, as our bridges' are
    unique_fd folder_; // flock(2) on RUN/lock
};

} // namespace engine
