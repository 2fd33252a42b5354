#pragma once

#include <chrono>
#include <string>

namespace engine {

/// 64 random hex digits, as containers and networks are identified. Throws error{internal} without a random
/// source.
std::string random_identifier();

/// The present time as RFC 3339 with nanoseconds in UTC. For people to read, never for decisions: clocks
/// jump.
std::string timestamp_now();
std::string timestamp(std::chrono::system_clock::time_point time);

/// The kernel's id of this boot; it changes with every reboot.
std::string boot_identifier();

} // namespace engine
