#include "engine/project/up_waiter.hpp"

#include <gtest/gtest.h>

namespace engine {
namespace {

using namespace std::chrono_literals;

observed_container with(run_state state, observed_health health = observed_health::none) {
    return {.name = "p-web-1", .service = "web", .state = state, .health = health, .exit_code = 4};
}

TEST(judge_up_test, one_without_a_health_check_must_have_run_for_a_second) {
    EXPECT_EQ(judge_up(with(run_state::running), 999ms, 0), up_verdict::not_yet);
    EXPECT_EQ(judge_up(with(run_state::running), 1s, 0), up_verdict::up);
}

TEST(judge_up_test, one_whose_hooks_run_is_not_up_yet) {
    observed_container seen = with(run_state::running, observed_health::healthy);
    seen.hooks_due = true;
    EXPECT_EQ(judge_up(seen, 1h, 0), up_verdict::not_yet);
}

TEST(judge_up_test, one_with_a_health_check_goes_by_it_alone) {
    EXPECT_EQ(judge_up(with(run_state::running, observed_health::healthy), 0ms, 0), up_verdict::up);
    EXPECT_EQ(judge_up(with(run_state::running, observed_health::starting), 1h, 0), up_verdict::not_yet);
    EXPECT_EQ(judge_up(with(run_state::running, observed_health::unhealthy), 0ms, 0), up_verdict::failed);
}

TEST(judge_up_test, one_that_has_ended_has_failed_and_says_how) {
    EXPECT_EQ(judge_up(with(run_state::exited), 0ms, 0), up_verdict::failed);
    EXPECT_EQ(why_not_up(with(run_state::exited)), "container p-web-1 exited (4)");
}

TEST(judge_up_test, one_that_restarts_has_a_few_attempts) {
    EXPECT_EQ(judge_up(with(run_state::restarting), 0ms, 4), up_verdict::not_yet);
    EXPECT_EQ(judge_up(with(run_state::restarting), 0ms, 5), up_verdict::failed);
}

} // namespace
} // namespace engine
