#pragma once

#include "compose/model/project.hpp"
#include "engine/network/network_record.hpp"
#include "engine/volume/volume_store.hpp"

#include <map>
#include <string>

namespace engine {

/// What the engine makes of `networks.KEY` of a project. Throws error{invalid} for a driver, subnet, gateway
/// or range that it cannot honour.
network_definition network_of(const compose::project& project, const std::string& key);

/// The network of `network_mode: bridge`, one on each host, which belongs to no project.
network_definition default_bridge();

/// What the engine makes of `volumes.KEY` of a project.
volume_definition volume_of(const compose::project& project, const std::string& key);

/// The labels that Docker Compose gives to its volumes, with the volume's own; these alone of one that was
/// made by hand.
std::map<std::string, std::string> labels_of(const volume_definition& volume);

} // namespace engine
