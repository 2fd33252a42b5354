#include "engine/container/health.hpp"

#include <utility>

namespace engine {

namespace {

constexpr std::size_t kept_results = 5;
constexpr std::size_t kept_output = 4096; // CVE-2022-31030: never without a bound

} // namespace

std::string_view to_string(health_status status) noexcept {
    switch (status) {
    case health_status::none:
        return "none";
    case health_status::starting:
        return "starting";
    case health_status::healthy:
        return "healthy";
    case health_status::unhealthy:
        return "unhealthy";
    }
    return "none";
}

health_state::health_state(health_config config, health_memory so_far)
    : config_(std::move(config)), memory_(so_far) {}

bool health_state::apply(probe_result result, std::chrono::nanoseconds since_start) {
    const health_status before = memory_.status;
    if (result.exit_code == 0) {
        memory_.failing_streak = 0;
        memory_.status = health_status::healthy;
    } else if (memory_.status != health_status::starting || since_start >= config_.start_period) {
        ++memory_.failing_streak;
        if (memory_.failing_streak >= config_.retries)
            memory_.status = health_status::unhealthy;
    }
    if (result.output.size() > kept_output)
        result.output.resize(kept_output);
    log_.push_back(std::move(result));
    if (log_.size() > kept_results)
        log_.pop_front();
    return memory_.status != before;
}

std::chrono::nanoseconds health_state::next_delay(std::chrono::nanoseconds since_start) const noexcept {
    const bool starting = memory_.status == health_status::starting && since_start < config_.start_period;
    return starting ? config_.start_interval : config_.interval;
}

} // namespace engine
