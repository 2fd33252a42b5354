#include "runtime_fixture.hpp"

#include "engine/container/health.hpp"

#include <gmock/gmock.h>

namespace engine {
namespace {

using namespace std::chrono_literals;

health_config config(std::chrono::nanoseconds start_period = 0s) {
    health_config config;
    config.args = {"true"};
    config.interval = 10s;
    config.start_interval = 1s;
    config.start_period = start_period;
    config.retries = 3;
    return config;
}

probe_result result(int code, std::string output = {}) {
    return {.started_at = {}, .finished_at = {}, .exit_code = code, .output = std::move(output)};
}

TEST(health, success_is_healthy_at_once) {
    health_state state(config());
    EXPECT_EQ(state.status(), health_status::starting);
    EXPECT_TRUE(state.apply(result(0), 1s));
    EXPECT_EQ(state.status(), health_status::healthy);
    EXPECT_FALSE(state.apply(result(0), 2s));
}

TEST(health, failures_in_a_row_are_unhealthy) {
    health_state state(config());
    EXPECT_FALSE(state.apply(result(1), 1s));
    EXPECT_FALSE(state.apply(result(1), 2s));
    EXPECT_TRUE(state.apply(result(-1), 3s));
    EXPECT_EQ(state.status(), health_status::unhealthy);
    EXPECT_EQ(state.failing_streak(), 3U);
    EXPECT_TRUE(state.apply(result(0), 4s));
    EXPECT_EQ(state.failing_streak(), 0U);
}

TEST(health, a_success_between_breaks_the_row) {
    health_state state(config());
    for (int round = 0; round < 5; ++round) {
        state.apply(result(1), 1s);
        state.apply(result(1), 1s);
        state.apply(result(0), 1s);
    }
    EXPECT_EQ(state.status(), health_status::healthy);
}

TEST(health, failures_in_the_start_period_do_not_count_until_it_was_healthy) {
    health_state state(config(60s));
    for (int round = 0; round < 10; ++round)
        EXPECT_FALSE(state.apply(result(1), 30s));
    EXPECT_EQ(state.status(), health_status::starting);
    EXPECT_EQ(state.failing_streak(), 0U);
    state.apply(result(0), 31s);
    state.apply(result(1), 32s);
    state.apply(result(1), 33s);
    EXPECT_TRUE(state.apply(result(1), 34s));
    EXPECT_EQ(state.status(), health_status::unhealthy);
}

TEST(health, the_start_interval_holds_until_healthy_or_over) {
    health_state state(config(60s));
    EXPECT_EQ(state.next_delay(0s), 1s);
    EXPECT_EQ(state.next_delay(61s), 10s);
    state.apply(result(0), 5s);
    EXPECT_EQ(state.next_delay(6s), 10s);
    EXPECT_EQ(health_state(config()).next_delay(0s), 10s);
}

TEST(health, what_is_remembered_goes_on) {
    health_state before(config());
    before.apply(result(0), 1s);
    before.apply(result(1), 2s);
    health_state after(config(60s), before.memory());
    EXPECT_EQ(after.status(), health_status::healthy);
    EXPECT_EQ(after.next_delay(3s), 10s); // not the start interval: it had started
    after.apply(result(1), 3s);
    EXPECT_EQ(after.failing_streak(), 2U);
    EXPECT_TRUE(after.apply(result(1), 4s));
    EXPECT_EQ(after.status(), health_status::unhealthy);
}

TEST(health, the_last_five_results_are_kept_and_cut) {
    health_state state(config());
    for (int code = 0; code < 8; ++code)
        state.apply(result(code, std::string(10'000, 'x')), 1s);
    ASSERT_EQ(state.log().size(), 5U);
    EXPECT_EQ(state.log().front().exit_code, 3);
    EXPECT_EQ(state.log().back().output.size(), 4096U);
}

TEST(health, why_it_failed_is_told_in_one_line) {
    health_state state(config());
    EXPECT_EQ(last_failure(state), "");
    state.apply(result(0, "fine"), 1s);
    EXPECT_EQ(last_failure(state), "");
    state.apply(result(2, "nc: bad address\t'db'\r\n\n"), 1s);
    state.apply(result(0), 1s);
    EXPECT_EQ(last_failure(state), "its check exited (2): nc: bad address 'db'");
    state.apply(result(1), 1s);
    EXPECT_EQ(last_failure(state), "its check exited (1)");
    state.apply(result(-1, "Health check exceeded timeout (50 ms)"), 1s);
    EXPECT_EQ(last_failure(state), "Health check exceeded timeout (50 ms)");
}

TEST(health, of_long_output_the_beginning_and_the_end_are_told_in_whole_characters) {
    health_state state(config());
    std::string output = "usage\xff: ";
    for (int each = 0; each < 1000; ++each)
        output += "ä";
    state.apply(result(1, output + " KeyError\n"), 1s);
    const std::string told = last_failure(state);
    EXPECT_THAT(told, testing::StartsWith("its check exited (1): usage?: ää"));
    EXPECT_THAT(told, testing::HasSubstr("ä … ä"));
    EXPECT_THAT(told, testing::Not(testing::HasSubstr("\xff")));
    EXPECT_LE(told.size(), 260U);
}

class health_monitor_test : public runtime_fixture {
  protected:
    // Runs the loop until the monitor has told `count` results.
    void wait_results(const std::vector<probe_result>& results, std::size_t count) {
        const auto limit = std::chrono::steady_clock::now() + 10s;
        io.restart();
        while (results.size() < count && std::chrono::steady_clock::now() < limit)
            io.run_one_for(100ms);
        ASSERT_GE(results.size(), count);
    }
};

TEST_F(health_monitor_test, probes_run_in_the_container) {
    const launch what = shell("sleep 100");
    const start_record started = start(what);
    health_config wanted = config();
    wanted.args = {"/bin/sh", "-c", "echo probing; test -e /ok"};
    wanted.interval = 30ms;
    std::vector<probe_result> results;
    std::vector<health_status> changes;
    const health_monitor monitor({io, workers}, *runtime, what.id, health_state(wanted), started.started_at,
        [&](const health_state& state, bool changed) {
            results.push_back(state.log().back());
            if (changed)
                changes.push_back(state.status());
        });
    wait_results(results, 3);
    EXPECT_EQ(results[0].exit_code, 1);
    EXPECT_EQ(results[0].output, "probing\n");
    exec_spec make;
    make.args = {"sh", "-c", "echo > /ok"};
    exec_session made = run(runtime->exec(what.id, make));
    run(made.wait());
    wait_results(results, results.size() + 2);
    EXPECT_EQ(monitor.state().status(), health_status::healthy);
    EXPECT_THAT(changes, testing::ElementsAre(health_status::unhealthy, health_status::healthy));
}

TEST_F(health_monitor_test, a_probe_that_takes_too_long_is_killed_before_the_next) {
    const launch what = shell("sleep 100");
    const start_record started = start(what);
    health_config wanted = config();
    wanted.args = {"sleep", "50"};
    wanted.interval = 10ms;
    wanted.timeout = 50ms;
    std::vector<probe_result> results;
    const health_monitor monitor({io, workers}, *runtime, what.id, health_state(wanted), started.started_at,
        [&](const health_state& state, bool) { results.push_back(state.log().back()); });
    wait_results(results, 2);
    EXPECT_EQ(results[0].exit_code, -1);
    EXPECT_THAT(results[0].output, testing::HasSubstr("exceeded timeout (50 ms)"));
    exec_spec count;
    count.args = {"sh", "-c", "ps | grep -c '[s]leep 50'"};
    exec_session counted = run(runtime->exec(what.id, count));
    EXPECT_LE(std::stoi(read_to_end(counted.streams().output)), 1);
}

} // namespace
} // namespace engine
