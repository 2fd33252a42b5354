#pragma once

namespace engine {

/// Runs as process 1 of a container with `init: true`: starts `argv` (null-terminated), passes signals on to
/// it, reaps whatever orphans come, and returns its exit code, 128 + n when a signal ended it, 127 when it is
/// not there and 126 when it cannot be executed.
int run_tiny_init(char** argv);

} // namespace engine
