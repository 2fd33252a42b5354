#include "engine/project/dependency_verdict.hpp"

#include "engine/project/plan_steps.hpp"

#include <fmt/format.h>

namespace engine {

using compose::dependency_condition;

namespace {

// Docker waits for ever for what keeps ending; but some do come up in time, and their delays are 100 s
// together (restart.hpp).
constexpr unsigned restarts_awaited = 10;

} // namespace

verdict judge(const observed_container& seen, dependency_condition condition, unsigned restarts) {
    const verdict met = seen.hooks_due ? verdict::not_yet : verdict::yes;
    const bool keeps_ending = seen.state == run_state::restarting && restarts >= restarts_awaited;
    if (keeps_ending && condition != dependency_condition::started)
        return verdict::never;
    const bool ended = seen.state == run_state::exited || seen.state == run_state::stopping;
    switch (condition) {
    case dependency_condition::started:
        return met;
    case dependency_condition::healthy:
        if (seen.health == observed_health::healthy)
            return met;
        if (ended || seen.health == observed_health::unhealthy ||
            (seen.state == run_state::running && seen.health == observed_health::none))
            return verdict::never;
        return verdict::not_yet;
    case dependency_condition::completed_successfully:
        if (!ended)
            return verdict::not_yet;
        return seen.exit_code == 0 ? verdict::yes : verdict::never;
    }
    return verdict::never;
}

std::string unhealthy(const observed_container& seen) {
    return seen.illness.empty() ? "is unhealthy" : "is unhealthy: " + seen.illness;
}

std::string reason_of(const observed_container& seen, dependency_condition condition) {
    if (seen.state == run_state::restarting)
        return fmt::format("dependency failed to start: container {} keeps ending: exited ({}); see: compose "
                           "logs {}",
            seen.name, seen.exit_code.value_or(255), seen.service);
    if (condition == dependency_condition::completed_successfully)
        return fmt::format("service \"{}\" didn't complete successfully: exit {}", seen.service,
            seen.exit_code.value_or(255));
    if (seen.state == run_state::exited)
        return fmt::format(
            "dependency failed to start: container {} exited ({})", seen.name, seen.exit_code.value_or(255));
    if (seen.health == observed_health::none)
        return fmt::format(
            "dependency failed to start: container {} has no healthcheck configured", seen.name);
    return fmt::format("dependency failed to start: container {} {}", seen.name, unhealthy(seen));
}

std::string_view fulfilled(dependency_condition condition) {
    switch (condition) {
    case dependency_condition::started:
        return "Started";
    case dependency_condition::healthy:
        return "Healthy";
    case dependency_condition::completed_successfully:
        return "Exited";
    }
    return "Started";
}

std::string trouble_of(
    const observed_container& seen, dependency_condition condition, verdict now, unsigned restarts) {
    if (restarts > 0 && is_up(seen.state))
        return fmt::format("exited ({}), restarted {} time{}", seen.exit_code.value_or(255), restarts,
            restarts == 1 ? "" : "s");
    return now == verdict::never ? reason_of(seen, condition) : std::string();
}

} // namespace engine
