#pragma once

#include "compose/model/service.hpp"
#include "engine/container/container_runtime.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace engine {

/// Runs hooks in a container, one after the other, until `limit` has passed in all: then the one that runs is
/// killed. Throws error{unavailable} naming hook and exit code for the first that fails; its last line of
/// output says why.
task<> run_hooks(executors on, container_runtime& runtime, std::string container, std::string kind,
    std::vector<compose::hook> hooks, std::chrono::nanoseconds limit);

} // namespace engine
