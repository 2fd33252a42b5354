#pragma once

#include "compose/model/service.hpp"
#include "engine/container/container_runtime.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace engine {

/// A hook that is to run in a container.
struct hook_run {
    std::string container;
    std::string kind; // "post_start"
    compose::hook what;
    std::string name = {}; // by which a later daemon finds it (exec_spec); empty: none looks for it
    std::optional<std::chrono::nanoseconds> limit = {}; // it is killed then
};

/// How messages call it: its kind and its program.
std::string title_of(const std::string& kind, const compose::hook& of);

/// Runs it to its end. What to say of one that failed: hook and exit code, with its last line of output;
/// empty: it has done well.
task<std::string> run_hook(executors on, container_runtime& runtime, hook_run which);

} // namespace engine
