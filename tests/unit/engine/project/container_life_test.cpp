#include "engine/project/container_life.hpp"

#include <gtest/gtest.h>

namespace engine {

namespace {

using namespace std::chrono_literals;

const std::chrono::system_clock::time_point noon{1'000'000s};

container_record running(compose::restart_mode mode) {
    container_record record;
    record.service = "side";
    record.definition.services["side"].name = "side";
    record.definition.services["side"].restart.mode = mode;
    wanted_by_hand(record);
    run_begins(record);
    run_began(record, noon, "boot");
    return record;
}

exit_record end_of(const container_record& record, int code) {
    return {.generation = record.generation, .code = code, .finished_at = noon + 1s, .ran_for = 1s};
}

} // namespace

TEST(container_life_test, an_exit_that_is_told_once_more_is_known_again) {
    container_record record = running(compose::restart_mode::always);
    const exit_record exit = end_of(record, 1);
    EXPECT_FALSE(was_decided(record, exit));
    EXPECT_TRUE(run_ended(record, exit).restart);
    EXPECT_TRUE(was_decided(record, exit));
}

// A daemon died when the container was to start anew and its former run was not yet cleared away.
TEST(container_life_test, the_exit_of_a_former_run_says_nothing_of_the_next) {
    container_record record = running(compose::restart_mode::no);
    const exit_record exit = end_of(record, 143);
    record.comes_again = true;
    run_ended(record, exit, end_cause::restart);
    run_begins(record);
    EXPECT_TRUE(was_decided(record, exit));
    exit_record unknown = exit; // nobody wrote it down
    unknown.finished_at += 5s;
    EXPECT_TRUE(was_decided(record, unknown));
    exit_record next = end_of(record, 0);
    next.finished_at += 9s;
    EXPECT_FALSE(was_decided(record, next));
}

TEST(container_life_test, hooks_end_one_by_one_and_none_follows_one_that_failed) {
    container_record record = running(compose::restart_mode::no);
    EXPECT_EQ(record.hooks_due, 0U);
    record.definition.services["side"].post_start.resize(3);
    run_begins(record);
    EXPECT_EQ(record.hooks_due, 3U);
    hook_ended(record, "");
    EXPECT_EQ(decode_container(record.id, encode(record)).hooks_due, 2U);
    hook_ended(record, "it is broken");
    EXPECT_EQ(record.hooks_due, 0U);
    EXPECT_EQ(decode_container(record.id, encode(record)).hook_failure, "it is broken");
    run_begins(record);
    EXPECT_EQ(record.hooks_due, 3U);
    EXPECT_EQ(record.hook_failure, "");
}

} // namespace engine
