#pragma once

#include "engine/project/container_manager.hpp"

#include <memory>

namespace engine {

/// Looks after what others may change behind the engine's back, and tells what was put right as events with
/// the status "Repaired": interfaces and firewall through the network manager, the folders of volumes by
/// looking itself. A volume's folder that has disappeared is never made anew: that is told as an error, and
/// stands as a problem until somebody brings it back. Keeps the copy of the store fresh, and removes logs of
/// replaced containers that are too old. Containers look after themselves (restart policies).
class upkeep {
  public:
    upkeep(engine_parts parts, container_manager& containers);
    ~upkeep();

    /// Once, after the containers were recovered.
    void start();

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
