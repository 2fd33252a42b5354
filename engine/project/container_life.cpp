#include "engine/project/container_life.hpp"

#include "engine/project/launch_builder.hpp"
#include "engine/system/identifier.hpp"

#include <utility>

namespace engine {

namespace {

constexpr int nobody_knows = 255;
constexpr int never_ran = 128;

const compose::restart_policy& policy_of(const container_record& record) {
    return record.service_definition().restart;
}

} // namespace

void wanted_by_hand(container_record& record) {
    started_by_hand(record.history);
    record.wanted = true;
    record.follow_due = false;
}

void stopped_by_hand(container_record& record) {
    record.paused = false; // or it would not hear the signal
    record.wanted = false;
    record.comes_again = false;
    record.follow_due = false;
    record.history.manually_stopped = true;
}

void run_begins(container_record& record) {
    record.paused = false;
    ++record.generation;
    record.comes_again = false;
    record.health = {};
    record.hooks_due = record.service_definition().post_start.size();
    record.hook_failure.clear();
}

void run_began(
    container_record& record, std::chrono::system_clock::time_point when, const std::string& boot) {
    record.started = timestamp(when);
    record.boot = boot;
}

void hook_ended(container_record& record, std::string failure) {
    --record.hooks_due;
    if (failure.empty())
        return;
    record.hooks_due = 0;
    record.hook_failure = std::move(failure);
}

bool is_ill(const container_record& record) {
    return record.health.status == health_status::unhealthy && record.wanted &&
           restarts_unhealthy(record.definition, record.service_definition());
}

bool was_decided(const container_record& record, const exit_record& exit) {
    return exit.generation < record.generation ||
           (record.exit && record.exit->finished == timestamp(exit.finished_at));
}

restart_decision run_ended(
    container_record& record, const exit_record& exit, end_cause cause, double jitter) {
    record.exit =
        last_exit{.code = exit.code, .oom = exit.oom, .finished = timestamp(exit.finished_at), .error = {}};
    record.paused = false;
    if (cause == end_cause::shutdown)
        record.boot.clear();
    if (cause != end_cause::itself)
        return {};
    restart_decision decision;
    if (record.wanted && !record.history.manually_stopped)
        decision = is_ill(record) ? next_restart_of_unhealthy(policy_of(record), record.history, exit, jitter)
                                  : next_restart(policy_of(record), record.history, exit, jitter);
    record.wanted = decision.restart;
    record.follow_due = record.follow_due || decision.restart;
    return decision;
}

restart_decision could_not_start(container_record& record, const std::string& why,
    std::chrono::system_clock::time_point when, bool until_it_runs) {
    constexpr compose::restart_policy without_end{.mode = compose::restart_mode::always};
    const exit_record failed{.generation = record.generation, .code = never_ran, .finished_at = when};
    restart_decision decision;
    if (record.wanted && !record.history.manually_stopped)
        decision = next_restart(until_it_runs ? without_end : policy_of(record), record.history, failed);
    record.wanted = decision.restart;
    record.exit = last_exit{.code = never_ran, .oom = false, .finished = timestamp(when), .error = why};
    return decision;
}

bool host_came_back(
    container_record& record, std::chrono::system_clock::time_point when, const std::string& boot) {
    if (record.started.empty() || record.boot == boot || record.one_off)
        return false;
    const auto code = record.wanted || !record.exit ? std::nullopt : std::optional<int>(record.exit->code);
    const bool seen = record.boot.empty(); // by the engine, which has ended it
    if (record.wanted && !seen)
        record.exit = last_exit{.code = nobody_knows, .oom = false, .finished = timestamp(when), .error = {}};
    record.comes_again = false;
    record.follow_due = false; // what depends on it has gone as well
    record.paused = false;
    record.wanted = restart_at_boot(policy_of(record), record.history, code);
    if (record.wanted)
        record.history = {};
    record.boot = boot;
    return true;
}

} // namespace engine
