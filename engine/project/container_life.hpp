#pragma once

#include "engine/container/launch.hpp"
#include "engine/project/container_record.hpp"

#include <chrono>
#include <string>

namespace engine {

/// How the durable part of a container moves on with what happens to it: the rules of restarting, without
/// effects. What is decided here container_manager makes durable first and then does. All are pure but for
/// the record that they move on.

/// A person wants it to run: counts and delays begin anew.
void wanted_by_hand(container_record& record);

/// A person has ended it. Before the signal is sent.
void stopped_by_hand(container_record& record);

/// It is about to be started: a new run, of which nothing is known yet.
void run_begins(container_record& record);

/// Its process runs, on the host's boot `boot`.
void run_began(container_record& record, std::chrono::system_clock::time_point when, const std::string& boot);

/// One of the post_start hooks of its run has ended: well when `failure` is empty, else none follows.
void hook_ended(container_record& record, std::string failure);

/// Whether it is unhealthy and is to be started again for that. By what is durable, so that an exit which a
/// later daemon hears of is judged alike.
bool is_ill(const container_record& record);

/// Whether what follows that end is in the record already: a daemon that dies before the run is cleared away
/// leaves its exit to be told once more to the next, maybe when the record is about a new run.
bool was_decided(const container_record& record, const exit_record& exit);

enum class end_cause {
    itself,   // or a person: the policy decides what follows
    restart,  // it is started again at once, by this daemon or the next
    shutdown, // the engine goes down: the next boot decides
};

/// Its run has ended. The decision's delay counts from the end of the run.
restart_decision run_ended(container_record& record, const exit_record& exit,
    end_cause cause = end_cause::itself, double jitter = 0);

/// It could not be started at all. A port or a mount that is not there now may be there later: the same
/// backoff as for a run that failed. `until_it_runs`: whatever the policy says of failures.
restart_decision could_not_start(container_record& record, const std::string& why,
    std::chrono::system_clock::time_point when, bool until_it_runs);

/// The daemon is back, on the host's boot `boot`. What ran when the host went down is gone, ended by the
/// engine or nobody saw how: the policy decides whether it comes back. Once for each boot; false: nothing to
/// decide.
bool host_came_back(
    container_record& record, std::chrono::system_clock::time_point when, const std::string& boot);

} // namespace engine
