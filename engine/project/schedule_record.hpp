#pragma once

#include <boost/json/fwd.hpp>

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace engine {

/// One time that a service ran, or should have, by its schedule. Times as RFC 3339.
struct scheduled_run {
    std::string due;
    std::string started;  // empty: it has not been
    std::string finished; // empty: it goes on, or never ran
    int exit_code = 0;
    std::string error;    // why it did not run or its end is not known, or what went wrong beside its end
    unsigned skipped = 0; // how often it was due again before it ended

    bool is_over() const { return !finished.empty() || !error.empty(); }
    bool operator==(const scheduled_run&) const = default;
};

/// Of each service the runs that are remembered.
constexpr std::size_t scheduled_runs_kept = 50;

/// What is durable of a service's schedule, as a part of its project's record.
struct schedule_state {
    std::string when;                            // the schedule that `after` was taken for
    bool active = false;                         // brought up, and not stopped since
    std::chrono::system_clock::time_point after; // what was due until then has been seen to; milliseconds
    std::vector<scheduled_run> runs;             // in order; what a daemon began ends in the next one's hands

    bool operator==(const schedule_state&) const = default;
};

using schedule_states = std::map<std::string, schedule_state>; // by service

boost::json::object to_json(const schedule_states& states);
/// Throws what boost::json throws for what is none.
schedule_states schedules_in(const boost::json::object& object);

/// Begins anew after `now` where it is not active yet, or for another schedule.
void activate(schedule_state& state, const std::string& when, std::chrono::system_clock::time_point now);

/// Adds a run, over which the oldest may go.
void add_run(schedule_state& state, scheduled_run run);

} // namespace engine
