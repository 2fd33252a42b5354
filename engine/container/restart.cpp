#include "engine/container/restart.hpp"

#include <algorithm>
#include <csignal>

namespace engine {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_delay{100};
constexpr milliseconds longest_delay{60'000};
constexpr milliseconds jitter_from{1'000};
constexpr std::chrono::seconds long_run{10};
constexpr double jitter_part = 0.1;

bool wants_restart(
    const compose::restart_policy& policy, const restart_history& history, int exit_code) noexcept {
    const bool attempts_left = policy.max_attempts == 0 || history.count < policy.max_attempts;
    switch (policy.mode) {
    case compose::restart_mode::no:
        return false;
    case compose::restart_mode::always:
    case compose::restart_mode::unless_stopped:
        return attempts_left;
    case compose::restart_mode::on_failure:
        return exit_code != 0 && attempts_left;
    }
    return false;
}

} // namespace

restart_decision next_restart(
    const compose::restart_policy& policy, restart_history& history, const exit_record& exit, double jitter) {
    if (policy.window && exit.ran_for >= *policy.window)
        history.count = 0;
    if (history.manually_stopped || !wants_restart(policy, history, exit.code))
        return {};
    if (policy.delay) {
        ++history.count;
        return {.restart = true, .delay = std::chrono::duration_cast<milliseconds>(*policy.delay)};
    }
    const bool anew = history.delay == milliseconds(0) || exit.ran_for >= long_run;
    history.delay = anew ? first_delay : std::min(history.delay * 2, longest_delay);
    ++history.count;
    milliseconds delay = history.delay;
    if (delay > jitter_from)
        delay -= milliseconds(
            static_cast<std::int64_t>(static_cast<double>(delay.count()) * jitter_part * jitter));
    return {.restart = true, .delay = delay};
}

restart_decision next_restart_of_unhealthy(
    const compose::restart_policy& policy, restart_history& history, const exit_record& exit, double jitter) {
    compose::restart_policy asked = policy;
    if (asked.mode == compose::restart_mode::no)
        asked.mode = compose::restart_mode::always;
    exit_record failed = exit;
    failed.code = std::max(exit.code, 1);
    return next_restart(asked, history, failed, jitter);
}

bool restart_at_boot(const compose::restart_policy& policy, const restart_history& history,
    std::optional<int> last_exit_code) {
    // always comes back even when it was stopped by hand: that is its difference to unless-stopped.
    if (policy.mode == compose::restart_mode::always)
        return true;
    if (history.manually_stopped)
        return false;
    return last_exit_code ? wants_restart(policy, history, *last_exit_code)
                          : policy.mode != compose::restart_mode::no;
}

void started_by_hand(restart_history& history) noexcept {
    history = {};
}

bool counts_as_stop(int signal, int stop_signal) noexcept {
    return signal == SIGKILL || signal == stop_signal;
}

} // namespace engine
