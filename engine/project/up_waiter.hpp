#pragma once

#include "engine/project/container_manager.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>

namespace engine {

/// When to give up waiting; nothing: never.
using wait_limit = std::optional<std::chrono::steady_clock::time_point>;

/// Waits until something changes, at most `longest`. Throws error{unavailable} naming the container that is
/// waited for when `until` is over.
task<> wait_for_change(container_manager& containers, wait_limit until, std::string waiting,
    std::chrono::nanoseconds longest = std::chrono::nanoseconds::max());

enum class up_verdict { up, not_yet, failed };

/// What runs without a health check must have done so for as long: a program that ends at once is not to be
/// taken for one that runs.
constexpr auto settled_after = std::chrono::seconds(1);

/// Since its process was started; 0 while there is none.
std::chrono::milliseconds uptime_of(const container_view& view);

/// Whether a container that runs is up: its post_start hooks have ended, and it is healthy where it has a
/// health check, else settled. Pure.
up_verdict judge_running(const observed_container& seen, std::chrono::milliseconds uptime) noexcept;

/// Whether a container counts as up for `up --wait`. `restarts`: of it, since the wait began. Pure.
up_verdict judge_up(const observed_container& seen, std::chrono::milliseconds uptime, unsigned restarts);

/// What to say of one that has failed.
std::string why_not_up(const observed_container& seen);

/// Waits until every container of `services` is up, or has ended with success where another service asks for
/// that (service_completed_successfully). Throws error{unavailable} when one cannot become so, with the last
/// lines of its log, or `until` is over, error{conflict} when the operation is superseded. `tell` hears of
/// each whose state is waited for
/// ("Waiting"), and how that came out ("Healthy", "Exited", "Error").
task<> await_up(executors on, container_manager& containers, compose::project project,
    std::set<std::string> services, wait_limit until, std::function<bool()> superseded,
    std::function<void(const container_record&, std::string status)> tell);

} // namespace engine
