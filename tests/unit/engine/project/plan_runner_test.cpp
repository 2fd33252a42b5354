#include "engine/project/plan_runner.hpp"

#include "compose/model/error.hpp"
#include "engine/system/blocking.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct plan_runner_test : ::testing::Test {
    void SetUp() override {
        steps = {{.kind = step_kind::start_container, .name = "db"},
            {.kind = step_kind::await_condition, .name = "gate", .after = {0}},
            {.kind = step_kind::start_container, .name = "web", .after = {1}},
            {.kind = step_kind::start_container, .name = "other"}};
    }

    static task<> perform(plan_runner_test* test, step what) {
        test->performed.push_back(what.name);
        if (test->failing.contains(what.name))
            throw compose::error(compose::error_kind::invalid, what.name);
        co_return;
    }

    static task<> run_all(plan_runner_test* test) {
        std::function<task<>(step)> how = [test](step what) { return perform(test, std::move(what)); };
        std::function<void(const step&)> lapsed = [test](const step& what) {
            test->lapsed.push_back(what.name);
        };
        std::function<bool()> superseded = [test] { return test->superseded; };
        const auto failures = co_await run_plan(
            test->io, test->steps, std::move(how), std::move(lapsed), std::move(superseded));
        for (const step_failure& each : failures)
            test->failures.push_back(each.what.name);
    }

    void run() {
        spawn(io, "test", run_all(this));
        io.run();
    }

    boost::asio::io_context io;
    plan steps;
    std::set<std::string> failing;
    bool superseded = false;
    std::vector<std::string> performed;
    std::vector<std::string> lapsed;
    std::vector<std::string> failures;
};

TEST_F(plan_runner_test, what_judges_an_update_begins_though_its_batch_has_failed) {
    steps = {{.kind = step_kind::start_container, .name = "one", .update = true},
        {.kind = step_kind::await_container, .name = "one is up", .update = true, .after = {0}},
        {.kind = step_kind::watch_update, .name = "first", .update = true, .after = {0, 1}},
        {.kind = step_kind::start_container, .name = "two", .update = true, .after = {2}},
        {.kind = step_kind::watch_update, .name = "second", .update = true, .after = {2, 3}}};
    failing = {"one"};
    run();
    EXPECT_THAT(performed, ElementsAre("one", "first", "two", "second"));
    performed.clear();
    failing = {"one", "first"};
    io.restart();
    run();
    EXPECT_THAT(performed, ElementsAre("one", "first"));
}

TEST_F(plan_runner_test, what_judges_an_update_says_nothing_of_one_that_never_began) {
    steps = {{.kind = step_kind::create_network, .name = "net"},
        {.kind = step_kind::create_container, .name = "one", .update = true, .after = {0}},
        {.kind = step_kind::watch_update, .name = "first", .update = true, .after = {1}}};
    failing = {"net"};
    run();
    EXPECT_THAT(performed, ElementsAre("net"));
    EXPECT_THAT(failures, ElementsAre("net"));
}

TEST_F(plan_runner_test, each_runs_when_those_before_it_have_succeeded) {
    run();
    EXPECT_THAT(performed, ::testing::UnorderedElementsAre("db", "gate", "web", "other"));
    EXPECT_THAT(failures, IsEmpty());
}

TEST_F(plan_runner_test, what_waits_for_a_failed_step_is_left_out_and_the_others_go_on) {
    failing = {"db"};
    run();
    EXPECT_THAT(performed, ElementsAre("db", "other"));
    EXPECT_THAT(failures, ElementsAre("db"));
    EXPECT_THAT(lapsed, IsEmpty());
}

TEST_F(plan_runner_test, an_optional_condition_is_no_obstacle) {
    failing = {"db"};
    steps[1].required = false;
    run();
    EXPECT_THAT(performed, ElementsAre("db", "web", "other"));
    EXPECT_THAT(failures, ElementsAre("db"));
    EXPECT_THAT(lapsed, ElementsAre("gate"));
}

TEST_F(plan_runner_test, a_superseded_plan_begins_nothing) {
    superseded = true;
    run();
    EXPECT_THAT(performed, IsEmpty());
}

} // namespace
} // namespace engine
