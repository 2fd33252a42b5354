#pragma once

#include <string_view>

namespace engine {

/// A moment at which the daemon may die and nothing is lost: before and after what it makes durable or does
/// to the host. Nothing happens here; the daemon that the tests build (tests/e2e/crash_points.cpp) has
/// another definition, which ends the process with SIGKILL at the moment it was told to. Called from any
/// thread.
void crash_point(std::string_view name);

/// The same for a name in two parts: "step create network", "before".
void crash_point(std::string_view name, std::string_view when);

} // namespace engine
