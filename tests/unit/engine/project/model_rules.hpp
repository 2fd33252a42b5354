#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

namespace engine::model {

using moment = std::chrono::system_clock::time_point;
using std::chrono::milliseconds;

/// What the rules of restarting say about one container, written down from what people are told (and not from
/// engine/): events in, what it should be doing out.
struct rules {
    std::string policy; // as in a file
    bool runs = false;
    std::optional<moment> comes_back; // when it will be started again by itself
    bool waits = false;               // it is to run, and will when what it depends on is there
    bool stopped_by_hand = false;
    unsigned restarts = 0;   // by itself, since a person has started it
    unsigned short_runs = 0; // in a row
    bool failed = false;     // its last run ended with another code than 0
    bool has_run = false;
    moment began;

    void starts(moment now) {
        runs = has_run = true;
        waits = false;
        comes_back.reset();
        began = now;
    }
    void started_by_hand(moment now) {
        restarts = short_runs = 0;
        stopped_by_hand = false;
        starts(now);
    }
    void stopped() {
        runs = waits = false;
        comes_back.reset();
        stopped_by_hand = true;
    }
    void ended_to_restart() {
        runs = false;
        comes_back.reset();
        waits = true;
    }
    void ended(moment now, int code) {
        runs = false;
        failed = code != 0;
        if (stopped_by_hand || !comes_back_after(code))
            return;
        if (now - began >= std::chrono::seconds(10))
            short_runs = 0;
        comes_back = now + milliseconds(std::min(100 * (1LL << std::min(short_runs, 20U)), 60'000LL));
        ++short_runs;
        ++restarts;
    }
    /// What would have started it again is a daemon that has gone.
    void daemon_died() {
        waits = waits || comes_back.has_value();
        comes_back.reset();
    }
    void booted() {
        const bool interrupted = runs || comes_back || waits;
        runs = false;
        comes_back.reset();
        bool back = false;
        if (!has_run)
            back = false;
        else if (policy == "always")
            back = true;
        else if (stopped_by_hand)
            back = false;
        else if (interrupted)
            back = policy != "no";
        else
            back = policy == "unless-stopped" || (failed && comes_back_after(1));
        if (back) {
            restarts = short_runs = 0;
            stopped_by_hand = false;
        }
        waits = back;
    }

  private:
    bool comes_back_after(int code) const {
        if (policy == "always" || policy == "unless-stopped")
            return true;
        if (policy == "on-failure")
            return code != 0;
        return policy == "on-failure:3" && code != 0 && restarts < 3;
    }
};

} // namespace engine::model
