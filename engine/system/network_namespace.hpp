#pragma once

#include <sys/types.h>

#include <functional>

namespace engine {

/// Runs `work` inside the network namespace of process `pid`, on a thread of its own that ends with it: a
/// thread of a pool could go on in the wrong namespace. Blocks. Passes on what `work` throws.
void in_network_namespace(pid_t pid, const std::function<void()>& work);

} // namespace engine
