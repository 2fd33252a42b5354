#pragma once

#include "engine/container/launch.hpp"
#include "engine/container/oci_spec.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace engine {

/// Quota and period in µs: those that are set, or what `nano_cpus` comes to in periods of 100 ms, as Docker
/// has it.
std::pair<std::optional<std::int64_t>, std::optional<std::int64_t>> cpu_time(const compose::limits& of);

/// memswap_limit, or Docker's default for a container with mem_limit: as much swap as memory again.
std::optional<std::int64_t> memory_with_swap(const compose::limits& of);

/// linux.resources of the OCI config.json. Throws error{invalid} for a rule of devices that is none.
boost::json::object oci_resources(const container_spec& spec, const oci_host& host);

} // namespace engine
