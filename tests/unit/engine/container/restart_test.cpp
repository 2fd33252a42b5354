#include "engine/container/restart.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace engine {
namespace {

using compose::restart_mode;
using compose::restart_policy;
using namespace std::chrono_literals;

exit_record ended(int code, std::chrono::nanoseconds ran_for = 1s) {
    exit_record record;
    record.code = code;
    record.ran_for = ran_for;
    return record;
}

TEST(restart, the_policy_decides_by_code_and_count) {
    struct row {
        restart_policy policy;
        unsigned count;
        bool by_hand;
        int code;
        bool restart;
    };
    const row table[] = {
        {{restart_mode::no, 0}, 0, false, 1, false},
        {{restart_mode::always, 0}, 0, false, 0, true},
        {{restart_mode::always, 0}, 99, false, 1, true},
        {{restart_mode::always, 0}, 0, true, 1, false},
        {{restart_mode::unless_stopped, 0}, 0, false, 0, true},
        {{restart_mode::unless_stopped, 0}, 0, true, 0, false},
        {{restart_mode::on_failure, 0}, 0, false, 0, false},
        {{restart_mode::on_failure, 0}, 1000, false, 1, true},
        {{restart_mode::on_failure, 3}, 2, false, 1, true},
        {{restart_mode::on_failure, 3}, 3, false, 1, false},
        {{restart_mode::on_failure, 3}, 0, false, 255, true},
    };
    for (const row& each : table) {
        restart_history history{.count = each.count, .delay = 0ms, .manually_stopped = each.by_hand};
        EXPECT_EQ(next_restart(each.policy, history, ended(each.code)).restart, each.restart)
            << &each - table;
        EXPECT_EQ(history.count, each.count + (each.restart ? 1U : 0U)) << &each - table;
    }
}

TEST(restart, delays_double_to_a_minute) {
    restart_history history;
    const restart_policy policy{restart_mode::always, 0};
    for (const auto expected :
        {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 12800ms, 25600ms, 51200ms, 60000ms, 60000ms})
        EXPECT_EQ(next_restart(policy, history, ended(1)).delay, expected);
}

TEST(restart, ten_seconds_of_running_begin_anew) {
    restart_history history{.count = 5, .delay = 3200ms, .manually_stopped = false};
    const restart_policy policy{restart_mode::always, 0};
    EXPECT_EQ(next_restart(policy, history, ended(1, 9999ms)).delay, 6400ms);
    EXPECT_EQ(next_restart(policy, history, ended(1, 10s)).delay, 100ms);
    EXPECT_EQ(history.count, 7U);
}

TEST(restart, jitter_takes_a_tenth_at_most_and_nothing_off_short_delays) {
    restart_history history{.count = 0, .delay = 1000ms, .manually_stopped = false};
    const restart_policy policy{restart_mode::always, 0};
    EXPECT_EQ(next_restart(policy, history, ended(1), 0.5).delay, 1900ms);
    EXPECT_EQ(history.delay, 2000ms);
    restart_history young;
    EXPECT_EQ(next_restart(policy, young, ended(1), 0.99).delay, 100ms);
    restart_history old{.count = 20, .delay = 60s, .manually_stopped = false};
    for (const double jitter : {0.0, 0.5, 0.99})
        EXPECT_LE(next_restart(policy, old, ended(1), jitter).delay, 60s);
}

TEST(restart, a_start_by_hand_forgets) {
    restart_history history{.count = 5, .delay = 3200ms, .manually_stopped = true};
    started_by_hand(history);
    EXPECT_EQ(history, restart_history());
}

TEST(restart, at_boot_always_comes_back_and_unless_stopped_only_if_not_stopped) {
    const restart_history running;
    const restart_history stopped{.count = 0, .delay = 0ms, .manually_stopped = true};
    EXPECT_TRUE(restart_at_boot({restart_mode::always, 0}, stopped, 0));
    EXPECT_TRUE(restart_at_boot({restart_mode::unless_stopped, 0}, running, std::nullopt));
    EXPECT_FALSE(restart_at_boot({restart_mode::unless_stopped, 0}, stopped, std::nullopt));
    EXPECT_TRUE(restart_at_boot({restart_mode::on_failure, 0}, running, std::nullopt));
    EXPECT_TRUE(restart_at_boot({restart_mode::on_failure, 0}, running, 255));
    // It has used up its attempts, but the power cut was none of them.
    EXPECT_TRUE(restart_at_boot({restart_mode::on_failure, 3}, {.count = 3}, std::nullopt));
    EXPECT_FALSE(restart_at_boot({restart_mode::on_failure, 3}, {.count = 3}, 1));
    EXPECT_FALSE(restart_at_boot({restart_mode::on_failure, 0}, running, 0));
    EXPECT_FALSE(restart_at_boot({restart_mode::no, 0}, running, std::nullopt));
}

TEST(restart, only_the_stop_signal_and_kill_count_as_stop) {
    EXPECT_TRUE(counts_as_stop(SIGKILL, SIGTERM));
    EXPECT_TRUE(counts_as_stop(SIGTERM, SIGTERM));
    EXPECT_TRUE(counts_as_stop(SIGQUIT, SIGQUIT));
    EXPECT_FALSE(counts_as_stop(SIGHUP, SIGTERM));
    EXPECT_FALSE(counts_as_stop(SIGTERM, SIGQUIT));
}

} // namespace
} // namespace engine
