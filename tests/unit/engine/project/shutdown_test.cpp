#include "engine/project/shutdown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engine {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

step waiting_for(std::vector<std::size_t> earlier) {
    step what;
    what.kind = step_kind::stop_container;
    what.after = std::move(earlier);
    return what;
}

TEST(shutdown_test, a_chain_is_the_longest_of_those_that_wait) {
    // web and job wait for nobody, db for both, disk for db.
    const plan steps{waiting_for({}), waiting_for({}), waiting_for({0, 1}), waiting_for({2})};
    EXPECT_THAT(chains_of(steps, {seconds(10), seconds(1), seconds(60), seconds(0)}),
        ElementsAre(seconds(70), seconds(61), seconds(60), seconds(0)));
}

TEST(shutdown_test, nothing_to_end_is_no_chain) {
    EXPECT_TRUE(chains_of({}, {}).empty());
}

TEST(shutdown_test, with_enough_time_all_have_their_whole_grace) {
    EXPECT_EQ(share_of(seconds(10), seconds(70), seconds(70)), seconds(10));
    EXPECT_EQ(share_of(seconds(0), seconds(0), seconds(1)), seconds(0));
}

TEST(shutdown_test, too_little_time_is_shared_in_proportion) {
    EXPECT_EQ(share_of(seconds(60), seconds(120), seconds(90)), seconds(45));
    // And so the last has the rest of it.
    EXPECT_EQ(share_of(seconds(60), seconds(60), seconds(45)), seconds(45));
}

TEST(shutdown_test, when_the_time_is_over_there_is_none) {
    EXPECT_EQ(share_of(seconds(10), seconds(10), seconds(0)), nanoseconds(0));
    EXPECT_EQ(share_of(seconds(10), seconds(10), seconds(-3)), nanoseconds(0));
    EXPECT_EQ(share_of(seconds(0), seconds(0), seconds(-3)), nanoseconds(0));
}

} // namespace
} // namespace engine
