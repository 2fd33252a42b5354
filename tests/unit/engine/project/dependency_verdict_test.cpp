#include "engine/project/dependency_verdict.hpp"

#include <gmock/gmock.h>

namespace engine {
namespace {

using compose::dependency_condition;
using testing::HasSubstr;

observed_container seen(run_state state) {
    observed_container made;
    made.name = "p-db-1";
    made.service = "db";
    made.state = state;
    return made;
}

observed_container ended(int code) {
    observed_container made = seen(run_state::exited);
    made.exit_code = code;
    return made;
}

TEST(dependency_verdict, started_is_all_that_has_been_started_whatever_came_of_it) {
    EXPECT_EQ(judge(seen(run_state::running), dependency_condition::started, 0), verdict::yes);
    EXPECT_EQ(judge(ended(1), dependency_condition::started, 0), verdict::yes);
}

TEST(dependency_verdict, hooks_that_are_due_are_waited_for) {
    observed_container running = seen(run_state::running);
    running.hooks_due = true;
    EXPECT_EQ(judge(running, dependency_condition::started, 0), verdict::not_yet);
    running.health = observed_health::healthy;
    EXPECT_EQ(judge(running, dependency_condition::healthy, 0), verdict::not_yet);
}

TEST(dependency_verdict, health_is_waited_for_where_there_can_be_some) {
    observed_container running = seen(run_state::running);
    EXPECT_EQ(judge(running, dependency_condition::healthy, 0), verdict::never);
    EXPECT_THAT(
        reason_of(running, dependency_condition::healthy), HasSubstr("has no healthcheck configured"));
    running.health = observed_health::starting;
    EXPECT_EQ(judge(running, dependency_condition::healthy, 0), verdict::not_yet);
    running.health = observed_health::unhealthy;
    EXPECT_EQ(judge(running, dependency_condition::healthy, 0), verdict::never);
    EXPECT_THAT(reason_of(running, dependency_condition::healthy), HasSubstr("p-db-1 is unhealthy"));
    running.illness = "its check exited (1): no";
    EXPECT_THAT(reason_of(running, dependency_condition::healthy),
        HasSubstr("p-db-1 is unhealthy: its check exited (1): no"));
    running.health = observed_health::healthy;
    EXPECT_EQ(judge(running, dependency_condition::healthy, 0), verdict::yes);
}

TEST(dependency_verdict, success_is_an_end_with_zero) {
    EXPECT_EQ(
        judge(seen(run_state::running), dependency_condition::completed_successfully, 0), verdict::not_yet);
    EXPECT_EQ(judge(ended(0), dependency_condition::completed_successfully, 0), verdict::yes);
    EXPECT_EQ(judge(ended(3), dependency_condition::completed_successfully, 0), verdict::never);
    EXPECT_EQ(reason_of(ended(3), dependency_condition::completed_successfully),
        "service \"db\" didn't complete successfully: exit 3");
}

TEST(dependency_verdict, what_keeps_ending_is_given_up_after_ten_restarts) {
    observed_container restarting = seen(run_state::restarting);
    restarting.exit_code = 1;
    EXPECT_EQ(judge(restarting, dependency_condition::healthy, 9), verdict::not_yet);
    EXPECT_EQ(trouble_of(restarting, dependency_condition::healthy, verdict::not_yet, 3),
        "exited (1), restarted 3 times");
    EXPECT_EQ(judge(restarting, dependency_condition::healthy, 10), verdict::never);
    EXPECT_EQ(judge(restarting, dependency_condition::started, 10), verdict::yes);
    EXPECT_THAT(reason_of(restarting, dependency_condition::healthy), HasSubstr("keeps ending: exited (1)"));
}

} // namespace
} // namespace engine
