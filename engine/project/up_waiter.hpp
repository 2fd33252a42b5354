#pragma once

#include "engine/project/container_manager.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>

namespace engine {

enum class wait_verdict { up, not_yet, failed };

/// Whether a container counts as up for `up --wait`. Healthy where it has a health check; else it must have
/// run for a second, so that a program that ends at once is not taken for one that runs. `restarts`: of it,
/// since the wait began. Pure.
wait_verdict judge_up(const observed_container& seen, std::chrono::milliseconds uptime, unsigned restarts);

/// What to say of one that has failed.
std::string why_not_up(const observed_container& seen);

/// Waits until every container of `services` is up, or has ended with success where another service asks for
/// that (service_completed_successfully). Throws error{unavailable} when one cannot become so or `limit` is
/// over, error{conflict} when the operation is superseded. `tell` hears of each whose state is waited for
/// ("Waiting"), and how that came out ("Healthy", "Exited", "Error").
task<> await_up(container_manager& containers, compose::project project, std::set<std::string> services,
    std::optional<std::chrono::nanoseconds> limit, std::function<bool()> superseded,
    std::function<void(const container_record&, std::string status)> tell);

} // namespace engine
