#pragma once

#include "compose/model/service.hpp"
#include "engine/container/launch.hpp"

#include <chrono>
#include <optional>

namespace engine {

/// What the restart policy remembers of a container between runs. Durable: count and manually_stopped.
struct restart_history {
    unsigned count = 0;                 // restarts since the last start that a person asked for
    std::chrono::milliseconds delay{0}; // the last one given; 0: none yet
    bool manually_stopped =
        false; // by stop, or a kill with the stop signal or KILL: set before the signal is sent

    bool operator==(const restart_history&) const = default;
};

struct restart_decision {
    bool restart = false;
    std::chrono::milliseconds delay{0}; // from now

    bool operator==(const restart_decision&) const = default;
};

/// Decides what follows the exit of a run. Pure but for `history`, which it moves on when it decides to
/// restart: first 100 ms, doubled each time up to 60 s, from the start again after a run of 10 s or more
/// (moby's restartmanager.go has the same constants). `jitter` in [0, 1) takes up to a tenth off delays
/// above 1 s, so that fifty containers of a dead database do not come back in the same millisecond.
/// deploy.restart_policy may set a delay instead, and a window: a run as long as that has come about.
restart_decision next_restart(const compose::restart_policy& policy, restart_history& history,
    const exit_record& exit, double jitter = 0);

/// Decides what follows a run that was ended because it was unhealthy, where the service asks for that: it
/// counts as a failure whatever its exit code, and comes back under the policy `no` too, as the wish for it
/// is there.
restart_decision next_restart_of_unhealthy(const compose::restart_policy& policy, restart_history& history,
    const exit_record& exit, double jitter = 0);

/// Whether a container that ran before should run after a boot of the host. `last_exit_code`: nothing when it
/// ran until the host went down, which is no failure of its own.
bool restart_at_boot(
    const compose::restart_policy& policy, const restart_history& history, std::optional<int> last_exit_code);

/// A person started it: count and delay begin anew, and it is no longer stopped by hand.
void started_by_hand(restart_history& history) noexcept;

/// Whether this signal, sent by a person, means «stop»: SIGKILL or the container's own stop signal. A HUP
/// does not.
bool counts_as_stop(int signal, int stop_signal) noexcept;

} // namespace engine
