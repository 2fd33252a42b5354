#pragma once

#include "engine/project/plan.hpp"

#include <string>
#include <string_view>

// What is said of a container by a condition of `depends_on` or `up --wait`. Pure.
namespace engine {

enum class verdict { yes, not_yet, never };

/// Whether the condition holds. `restarts`: of the container, since it is waited for. Hooks of post_start
/// that are due keep it from being a yes.
verdict judge(const observed_container& seen, compose::dependency_condition condition, unsigned restarts);

/// «is unhealthy», and why where that is known.
std::string unhealthy(const observed_container& seen);

/// Why it never will, in Docker Compose's words where it has some.
std::string reason_of(const observed_container& seen, compose::dependency_condition condition);

/// What it is told by that it does: Started, Healthy or Exited.
std::string_view fulfilled(compose::dependency_condition condition);

/// In spite of what it is waited for; empty: it just takes its time.
std::string trouble_of(
    const observed_container& seen, compose::dependency_condition condition, verdict now, unsigned restarts);

} // namespace engine
