#pragma once

#include "compose/model/project.hpp"
#include "engine/network/network_record.hpp"
#include "engine/volume/volume_store.hpp"

#include <string>

namespace engine {

/// What the engine makes of `networks.KEY` of a project. Throws error{invalid} for a driver, subnet, gateway
/// or range that it cannot honour.
network_definition network_of(const compose::project& project, const std::string& key);

/// What the engine makes of `volumes.KEY` of a project.
volume_definition volume_of(const compose::project& project, const std::string& key);

} // namespace engine
