#include "engine/project/plan_update.hpp"

#include "compose/load/loader.hpp"
#include "engine/project/definitions.hpp"
#include "engine/project/update_watch.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct plan_update_test : ::testing::Test {
    void load(const std::string& update, const std::string& more = {}, unsigned replicas = 3) {
        project = compose::load_text(
            fmt::format("services:\n  web:\n    image: app\n    {}\n    deploy: {{replicas: {}, {}}}\n", more,
                replicas, update),
            "p");
        now.images = {{"app", "new"}};
        now.networks = {{"p_default", network_of(project, "default")}};
        now.containers.clear();
        for (unsigned number = 1; number <= replicas; ++number)
            now.containers.push_back({.id = fmt::format("id-web-{}-abcdefgh", number),
                .name = fmt::format("p-web-{}", number),
                .service = "web",
                .number = number,
                .hash = "1",
                .image = "old",
                .definition = &project.services.at("web"),
                .networks = {"p_default"},
                .state = run_state::running});
    }

    plan up(bool carry_on = false, bool rolling_back = false) {
        return plan_up({.project = project,
                           .hashes = hashes,
                           .services = {"web"},
                           .carry_on = carry_on,
                           .force_recreate = {},
                           .rolling_back = rolling_back},
            now);
    }

    static std::vector<std::string> shown(const plan& steps) {
        std::vector<std::string> lines;
        for (const step& each : steps)
            lines.push_back(fmt::format("{} {}", to_string(each.kind), each.name));
        return lines;
    }

    static bool waits(const plan& steps, std::size_t later, std::size_t earlier) {
        for (const std::size_t before : steps[later].after)
            if (before == earlier || waits(steps, before, earlier))
                return true;
        return false;
    }

    compose::project project;
    std::map<std::string, std::string> hashes{{"web", "1"}};
    observed_project now;
};

TEST_F(plan_update_test, batches_are_of_one_of_as_many_as_asked_or_of_all) {
    EXPECT_THAT(batches_of(3, {}), ElementsAre(1, 1, 1));
    EXPECT_THAT(batches_of(5, {.parallelism = 2}), ElementsAre(2, 2, 1));
    EXPECT_THAT(batches_of(3, {.parallelism = 0}), ElementsAre(3));
    EXPECT_THAT(batches_of(0, {}), IsEmpty());
}

TEST_F(plan_update_test, a_batch_begins_when_the_one_before_has_been_judged) {
    load("update_config: {parallelism: 2}");
    const plan steps = up();
    std::vector<std::size_t> judges;
    for (std::size_t at = 0; at < steps.size(); ++at)
        if (steps[at].kind == step_kind::watch_update)
            judges.push_back(at);
    ASSERT_EQ(judges.size(), 2U);
    EXPECT_THAT(steps[judges[0]].numbers, ElementsAre(1U, 2U));
    EXPECT_FALSE(steps[judges[0]].last);
    EXPECT_TRUE(steps[judges[1]].last);
    EXPECT_EQ(steps[judges[1]].planned, 3U);
    for (std::size_t at = 0; at < judges[0]; ++at)
        EXPECT_TRUE(waits(steps, judges[0], at)) << at;
    for (std::size_t at = judges[0] + 1; at < steps.size(); ++at)
        EXPECT_TRUE(waits(steps, at, judges[0])) << at;
}

TEST_F(plan_update_test, the_old_one_goes_first_or_last) {
    load("update_config: {order: stop-first}", {}, 1);
    EXPECT_THAT(shown(up()),
        ElementsAre("stop container p-web-1", "remove container p-web-1", "create container p-web-1",
            "start container p-web-1", "wait for container p-web-1", "wait for update of web"));
    load("update_config: {order: start-first}", {}, 1);
    const plan steps = up();
    EXPECT_THAT(
        shown(steps), ElementsAre("create container p-web-1", "start container p-web-1",
                          "wait for container p-web-1", "switch container p-web-1", "stop container p-web-1",
                          "remove container p-web-1", "wait for update of web"));
    EXPECT_EQ(steps[0].replaces, now.containers[0].id);
    EXPECT_TRUE(steps[4].drain);
    for (std::size_t at = 1; at < steps.size(); ++at)
        EXPECT_TRUE(waits(steps, at, at - 1)) << at;
}

TEST_F(plan_update_test, what_only_one_can_have_is_in_the_way_of_two) {
    compose::service one;
    one.ports = {{.published = "80", .target = 80}};
    EXPECT_EQ(start_first_obstacle(one, one), "");
    compose::service other = one;
    other.ports[0].host_ip = "127.0.0.1";
    EXPECT_THAT(start_first_obstacle(one, other), HasSubstr("ports"));
    other.ports[0].published = "81";
    EXPECT_EQ(start_first_obstacle(one, other), "");
    other.container_name = "only";
    EXPECT_THAT(start_first_obstacle(one, other), HasSubstr("container_name"));
    other = one;
    other.networks["default"].ipv4_address = "10.0.0.2";
    EXPECT_THAT(start_first_obstacle(one, other), HasSubstr("network default"));
    other = one;
    other.network_mode = "host";
    EXPECT_THAT(start_first_obstacle(one, other), HasSubstr("host"));
    load("update_config: {order: start-first}", "container_name: only", 1);
    EXPECT_EQ(up()[0].kind, step_kind::stop_container);
    EXPECT_EQ(not_start_first(
                  {.project = project, .hashes = hashes, .services = {"web"}, .force_recreate = {}}, now)
                  .size(),
        1U);
}

TEST_F(plan_update_test, without_a_policy_all_are_replaced_at_once) {
    load("labels: {a: b}");
    for (const step& each : up())
        EXPECT_FALSE(each.update) << each.name;
}

TEST_F(plan_update_test, an_update_that_was_cut_short_goes_on_with_the_one_that_comes) {
    load("update_config: {order: start-first}", {}, 1);
    observed_container coming = now.containers[0];
    coming.id = "coming";
    coming.place = container_place::coming;
    coming.replaces = now.containers[0].id;
    coming.image = "new";
    now.containers.push_back(coming);
    EXPECT_THAT(
        shown(up(true)), ElementsAre("wait for container p-web-1", "switch container p-web-1",
                             "stop container p-web-1", "remove container p-web-1", "wait for update of web"));
    // Of another definition it is of no use any more.
    now.containers.back().hash = "2";
    const std::vector<std::string> lines = shown(up(true));
    EXPECT_EQ(lines[0], "stop container p-web-1");
    EXPECT_EQ(lines[1], "remove container p-web-1");
    EXPECT_EQ(lines[2], "create container p-web-1");
    // Once it has the place, what is left is that the other goes.
    now.containers[0].place = container_place::leaving;
    now.containers[1].place = container_place::own;
    now.containers[1].hash = "1";
    EXPECT_TRUE(up(true)[0].drain);
    EXPECT_THAT(shown(up(true)), ElementsAre("stop container p-web-1", "remove container p-web-1"));
}

TEST_F(plan_update_test, what_goes_back_goes_by_its_own_policy_and_image) {
    load("update_config: {parallelism: 1}, rollback_config: {parallelism: 0}");
    EXPECT_EQ(up(false, false).size(), 3U * 6U);
    EXPECT_EQ(up(false, true).size(), 3U * 5U + 1U);
    const plan steps = plan_up({.project = project,
                                   .hashes = hashes,
                                   .services = {"web"},
                                   .force_recreate = {"web"},
                                   .rolling_back = true,
                                   .pinned = {{"app", "old"}}},
        now);
    for (const step& each : steps)
        EXPECT_EQ(each.image, each.kind == step_kind::create_container ? "old" : "") << each.name;
}

TEST(update_watch, a_new_container_is_up_when_it_is_healthy_or_has_run_for_a_second) {
    using std::chrono::milliseconds;
    observed_container seen;
    seen.state = run_state::running;
    EXPECT_EQ(judge_new(seen, milliseconds(10), 0), up_verdict::not_yet);
    EXPECT_EQ(judge_new(seen, milliseconds(1000), 0), up_verdict::up);
    EXPECT_EQ(judge_new(seen, milliseconds(1000), 1), up_verdict::failed);
    seen.health = observed_health::starting;
    EXPECT_EQ(judge_new(seen, milliseconds(1000), 0), up_verdict::not_yet);
    seen.health = observed_health::healthy;
    EXPECT_EQ(judge_new(seen, milliseconds(10), 0), up_verdict::up);
    seen.health = observed_health::unhealthy;
    EXPECT_EQ(judge_new(seen, milliseconds(1000), 0), up_verdict::failed);
    seen.state = run_state::exited;
    EXPECT_EQ(judge_new(seen, milliseconds(1000), 0), up_verdict::failed);
}

TEST(update_watch, failures_are_too_many_above_the_ratio) {
    EXPECT_TRUE(is_too_many(1, 4, {}));
    EXPECT_FALSE(is_too_many(0, 4, {}));
    EXPECT_FALSE(is_too_many(1, 4, {.max_failure_ratio = 0.25}));
    EXPECT_TRUE(is_too_many(2, 4, {.max_failure_ratio = 0.25}));
    EXPECT_FALSE(is_too_many(4, 4, {.max_failure_ratio = 1}));
}

} // namespace
} // namespace engine
