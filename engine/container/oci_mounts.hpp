#pragma once

#include "engine/container/oci_spec.hpp"

#include <boost/json/array.hpp>

namespace engine {

/// The part `mounts` of config.json: what every container has, then what the spec asks for by depth.
boost::json::array oci_mounts(const container_spec& spec, const oci_host& host);

/// Where the init of `init: true` is seen in the container: on the tmpfs of /dev, so a read-only root needs
/// no mount point.
constexpr const char* init_path = "/dev/init";

} // namespace engine
