#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace engine {

/// Why an image that is here is to be pulled all the same, by the service's pull_policy: «always», «refresh»,
/// daily, weekly or every_DURATION, counted from when it came; empty: it is not. Pure.
std::string why_pull_again(const std::string& policy,
    std::optional<std::chrono::system_clock::time_point> came, std::chrono::system_clock::time_point now);

} // namespace engine
