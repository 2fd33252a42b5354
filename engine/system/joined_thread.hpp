#pragma once

#include <functional>

namespace engine {

/// Runs `work` on a thread that ends with it and waits for that, throwing what it threw: for what a thread
/// cannot take back, as its namespaces. Blocks.
void on_joined_thread(const std::function<void()>& work);

} // namespace engine
