#pragma once

#include "engine/container/launch.hpp"
#include "engine/container/oci_spec.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace engine {

/// The nodes that a container gets: those of container_spec::devices, of a folder all that are in it; when it
/// is privileged all that the host has. Throws error{not_found} and error{invalid} naming the device.
std::vector<device_node> devices_of(const container_spec& spec);

/// Major and minor numbers by the paths of a blkio_config. Throws error{not_found} and error{invalid} naming
/// the device.
std::map<std::string, std::pair<std::int64_t, std::int64_t>> block_devices_of(const compose::blkio& of);

} // namespace engine
