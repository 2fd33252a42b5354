#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace compose {

/// How the containers of a service are replaced: deploy.update_config and rollback_config. Unset members mean
/// Docker's defaults, which the functions give.
struct update_policy {
    std::optional<unsigned> parallelism; // at a time; 0: all
    std::chrono::nanoseconds delay{};    // from one batch to the next
    std::string failure_action;          // pause, continue or rollback; empty: pause
    std::optional<std::chrono::nanoseconds> monitor;
    double max_failure_ratio = 0;
    bool start_first = false; // order

    bool operator==(const update_policy&) const = default;
};

constexpr std::chrono::nanoseconds monitor_of(const update_policy& of) {
    return of.monitor.value_or(std::chrono::seconds(5));
}

} // namespace compose
