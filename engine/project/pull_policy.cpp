#include "engine/project/pull_policy.hpp"

#include "compose/model/units.hpp"

#include <fmt/format.h>

namespace engine {

namespace {

/// Days and weeks are not among the units of other durations.
std::optional<std::chrono::nanoseconds> period_of(const std::string& policy) {
    using days = std::chrono::duration<std::int64_t, std::ratio<86'400>>;
    constexpr std::string_view every = "every_";
    if (policy == "daily")
        return days(1);
    if (policy == "weekly")
        return days(7);
    if (!policy.starts_with(every))
        return std::nullopt;
    std::string text = policy.substr(every.size());
    days whole(0);
    for (const auto& [unit, length] : {std::pair('w', 7), std::pair('d', 1)})
        if (const auto at = text.find(unit); at != std::string::npos) {
            whole += days(std::strtol(text.c_str(), nullptr, 10) * length);
            text.erase(0, at + 1);
        }
    const auto rest = text.empty() ? std::chrono::nanoseconds(0) : compose::parse_duration(text);
    return rest ? std::optional<std::chrono::nanoseconds>(*rest + whole) : std::nullopt;
}

} // namespace

std::string why_pull_again(const std::string& policy,
    std::optional<std::chrono::system_clock::time_point> came, std::chrono::system_clock::time_point now) {
    if (policy == "always" || policy == "refresh")
        return "pull_policy " + policy;
    const auto period = period_of(policy);
    return period && (!came || now - *came >= *period) ? "pull_policy " + policy : std::string();
}

} // namespace engine
