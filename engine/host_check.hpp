#pragma once

namespace engine {

struct daemon_options;

/// Prints a line for each thing that the host must or should have; true when all that must be is there.
bool check_host(const daemon_options& options);

} // namespace engine
