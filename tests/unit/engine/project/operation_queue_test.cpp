#include "engine/project/operation_queue.hpp"

#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engine {
namespace {

using kind = operation_kind;

TEST(takes_over_test, what_ends_takes_over_from_what_brings_up) {
    for (const kind running : {kind::up, kind::start, kind::restart})
        for (const kind next : {kind::stop, kind::down})
            EXPECT_TRUE(takes_over(next, false, running)) << to_string(next) << to_string(running);
}

TEST(takes_over_test, what_ends_is_always_finished) {
    for (const kind running : {kind::stop, kind::down, kind::remove})
        for (const kind next : {kind::up, kind::start, kind::restart, kind::stop, kind::down, kind::remove})
            EXPECT_FALSE(takes_over(next, true, running)) << to_string(next) << to_string(running);
}

TEST(takes_over_test, only_an_up_of_another_definition_takes_over_from_an_up) {
    EXPECT_TRUE(takes_over(kind::up, true, kind::up));
    EXPECT_FALSE(takes_over(kind::up, false, kind::up));
    EXPECT_FALSE(takes_over(kind::start, true, kind::up));
    EXPECT_TRUE(takes_over(kind::restart, false, kind::up));
    EXPECT_FALSE(takes_over(kind::restart, false, kind::restart));
}

struct operation_queue_test : ::testing::Test {
    /// One that says when it begins and waits until `go`, or until it is superseded.
    operation_queue::work waiting(const std::string& name) {
        return [this, name](std::function<bool()> superseded) -> task<> {
            return wait_for_go(this, name, std::move(superseded));
        };
    }

    static task<> wait_for_go(
        operation_queue_test* test, std::string name, std::function<bool()> superseded) {
        test->begun.push_back(name);
        while (!test->go && !superseded())
            co_await test->changed.wait();
    }

    void turn() {
        io.restart();
        io.poll();
    }

    static std::string failure_of(const operation& of) {
        try {
            if (of.failure())
                std::rethrow_exception(of.failure());
        } catch (const compose::error& thrown) {
            return thrown.what();
        }
        return {};
    }

    boost::asio::io_context io;
    event_log events{io};
    notifier changed{io};
    operation_queue queue{io, events, changed};
    std::vector<std::string> begun;
    bool go = false;
};

TEST_F(operation_queue_test, two_ups_of_one_definition_are_done_one_after_the_other) {
    const auto first = queue.begin("p", kind::up, true, waiting("first"));
    const auto second = queue.begin("p", kind::up, false, waiting("second"));
    turn();
    EXPECT_THAT(begun, ::testing::ElementsAre("first"));
    EXPECT_TRUE(queue.busy("p"));
    go = true;
    changed.notify_all();
    turn();
    EXPECT_THAT(begun, ::testing::ElementsAre("first", "second"));
    EXPECT_TRUE(first->done() && second->done());
    EXPECT_EQ(failure_of(*first) + failure_of(*second), "");
    EXPECT_FALSE(queue.busy("p"));
}

TEST_F(operation_queue_test, one_that_gives_way_says_to_what) {
    const auto up = queue.begin("p", kind::up, true, waiting("up"));
    const auto waits = queue.begin("p", kind::start, false, waiting("start"));
    turn();
    const auto down = queue.begin("p", kind::down, false, waiting("down"));
    turn();
    EXPECT_TRUE(up->done() && waits->done());
    EXPECT_EQ(failure_of(*up), "project \"p\": this `up` has given way to a later `down`");
    EXPECT_EQ(failure_of(*waits), "project \"p\": this `start` has given way to a later `down`");
    EXPECT_THAT(begun, ::testing::ElementsAre("up", "down"));
    go = true;
    changed.notify_all();
    turn();
    EXPECT_EQ(failure_of(*down), "");
}

TEST_F(operation_queue_test, projects_do_not_wait_for_one_another) {
    queue.begin("p", kind::up, true, waiting("p"));
    queue.begin("q", kind::up, true, waiting("q"));
    turn();
    EXPECT_THAT(begun, ::testing::ElementsAre("p", "q"));
    go = true;
    changed.notify_all();
    turn();
}

} // namespace
} // namespace engine
