#include "engine/project/plan.hpp"

#include "compose/load/loader.hpp"
#include "compose/model/error.hpp"
#include "engine/project/definitions.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct plan_test : ::testing::Test {
    void SetUp() override {
        project = compose::load_text(
            "services:\n"
            "  db: {image: db, volumes: [data:/data]}\n"
            "  job: {image: app, depends_on: [db]}\n"
            "  web:\n    image: app\n    depends_on:\n      db: {condition: service_healthy}\n"
            "      job: {condition: service_completed_successfully}\n"
            "volumes: {data: }\n",
            "p");
        hashes = {{"db", "1"}, {"job", "1"}, {"web", "1"}};
        now.images = {{"db", "sha256:db"}, {"app", "sha256:app"}};
    }

    plan up(bool start = true) {
        return plan_up({.project = project,
                           .hashes = hashes,
                           .services = {"db", "job", "web"},
                           .start = start,
                           .remove_orphans = orphans,
                           .force_recreate = force},
            now);
    }

    plan down(bool volumes, bool with_orphans = false) {
        return plan_down({.project = project, .volumes = volumes, .remove_orphans = with_orphans}, now);
    }

    void running(const std::string& service, unsigned number = 1) {
        now.networks = {{"p_default", network_of(project, "default")}};
        now.volumes = {{"p_data", volume_of(project, "data")}};
        now.containers.push_back({.id = fmt::format("id-{}-{}", service, number),
            .name = fmt::format("p-{}-{}", service, number),
            .service = service,
            .number = number,
            .hash = "1",
            .image = service == "db" ? "sha256:db" : "sha256:app",
            .networks = {"p_default"},
            .state = run_state::running});
    }

    static std::vector<std::string> shown(const plan& steps) {
        std::vector<std::string> lines;
        for (const step& each : steps)
            lines.push_back(fmt::format("{} {}", to_string(each.kind), each.name));
        return lines;
    }

    /// True when `later` waits for `earlier`, directly or not.
    static bool waits(const plan& steps, std::size_t later, std::size_t earlier) {
        for (const std::size_t before : steps[later].after)
            if (before == earlier || waits(steps, before, earlier))
                return true;
        return false;
    }

    static std::size_t at(const plan& steps, const std::string& line) {
        const auto lines = shown(steps);
        const auto found = std::find(lines.begin(), lines.end(), line);
        EXPECT_NE(found, lines.end()) << line;
        return static_cast<std::size_t>(found - lines.begin());
    }

    compose::project project;
    std::map<std::string, std::string> hashes;
    observed_project now;
    bool orphans = false;
    std::set<std::string> force;
};

TEST_F(plan_test, a_new_stack_is_made_and_started_in_the_order_of_its_dependencies) {
    const plan steps = up();
    EXPECT_THAT(shown(steps),
        ElementsAre("create network p_default", "create volume p_data", "create container p-db-1",
            "create container p-job-1", "create container p-web-1", "start container p-db-1", "wait for db",
            "start container p-job-1", "wait for db", "wait for job", "start container p-web-1"));
    EXPECT_TRUE(waits(steps, at(steps, "start container p-web-1"), at(steps, "start container p-job-1")));
    EXPECT_TRUE(waits(steps, at(steps, "create container p-db-1"), at(steps, "create volume p_data")));
}

TEST_F(plan_test, what_runs_unchanged_is_left_alone) {
    running("db");
    running("job");
    running("web");
    EXPECT_THAT(up(), IsEmpty());
}

TEST_F(plan_test, a_changed_service_is_ended_before_it_is_made_again) {
    running("db");
    running("job");
    running("web");
    hashes["db"] = "2";
    const plan steps = up();
    EXPECT_THAT(shown(steps), ElementsAre("stop container p-db-1", "remove container p-db-1",
                                  "create container p-db-1", "start container p-db-1"));
    EXPECT_TRUE(waits(steps, 2, 1));
    EXPECT_EQ(steps[0].reason, "definition changed");
    EXPECT_TRUE(steps[1].replaced);
}

TEST_F(plan_test, what_depends_with_restart_ends_before_and_starts_after_what_is_made_anew) {
    running("db");
    running("job");
    running("web");
    project.services.at("web").depends_on.erase("job");
    project.services.at("web").depends_on.at("db").restart = true;
    hashes["db"] = "2";
    const plan anew = up();
    EXPECT_THAT(shown(anew),
        ElementsAre("stop container p-web-1", "stop container p-db-1", "remove container p-db-1",
            "create container p-db-1", "start container p-db-1", "wait for db", "start container p-web-1"));
    EXPECT_TRUE(waits(anew, 1, 0));
    EXPECT_TRUE(waits(anew, 6, 4));
    now.containers[0].state = run_state::exited;
    hashes["db"] = "1";
    EXPECT_THAT(shown(up()), ElementsAre("stop container p-web-1", "start container p-db-1", "wait for db",
                                 "start container p-web-1"));
    EXPECT_THAT(shown(up(false)), IsEmpty());
}

TEST_F(plan_test, restarts_are_followed_along_chains_and_by_nobody_else) {
    project.services.at("job").depends_on.at("db").restart = true;
    project.services.at("web").depends_on.at("job").restart = true;
    EXPECT_EQ(restarted_with(project, {"db"}), (std::set<std::string>{"job", "web"}));
    EXPECT_EQ(restarted_with(project, {"db", "job"}), (std::set<std::string>{"web"}));
    EXPECT_EQ(restarted_with(project, {"web"}), std::set<std::string>{});
}

TEST_F(plan_test, a_new_image_and_a_wish_are_reasons_as_well) {
    running("db");
    running("job");
    running("web");
    now.images["db"] = "sha256:newer";
    EXPECT_EQ(up().front().reason, "image changed");
    now.images["db"] = "sha256:db";
    force = {"db"};
    EXPECT_EQ(up().front().reason, "asked for");
}

TEST_F(plan_test, scaling_adds_the_missing_numbers_and_removes_the_highest) {
    running("db");
    running("job");
    running("web");
    running("web", 3);
    project.services.at("web").scale = 2;
    EXPECT_THAT(shown(up()),
        ElementsAre("stop container p-web-3", "remove container p-web-3", "create container p-web-2",
            "wait for db", "wait for job", "start container p-web-2"));
    EXPECT_FALSE(up()[1].replaced);
}

TEST_F(plan_test, orphans_stay_until_their_removal_is_asked_for) {
    running("db");
    running("job");
    running("web");
    running("old");
    EXPECT_THAT(up(), IsEmpty());
    orphans = true;
    EXPECT_THAT(shown(up()), ElementsAre("stop container p-old-1", "remove container p-old-1"));
}

TEST_F(plan_test, what_one_container_alone_can_have_is_handed_over_when_it_is_gone) {
    running("db");
    running("job");
    running("web");
    running("old");
    compose::service old = project.services.at("web");
    old.ports = {{.published = "8000-8010", .target = 80}};
    now.containers.back().definition = &old;
    now.containers.back().name = "named";
    compose::service& db = project.services.at("db"); // made anew, and not in the way of anything
    hashes["db"] = "2";
    orphans = true;
    const auto created_after_removal = [&] {
        const plan steps = up();
        return waits(steps, at(steps, fmt::format("create container {}", container_name_of(project, db, 1))),
            at(steps, "remove container named"));
    };
    EXPECT_FALSE(created_after_removal());
    db.container_name = "named";
    EXPECT_TRUE(created_after_removal());
    db.container_name.clear();
    db.ports = {{.published = "8005", .target = 1}};
    EXPECT_TRUE(created_after_removal());
    db.ports = {{.published = "8005", .target = 1, .protocol = "udp"}};
    EXPECT_FALSE(created_after_removal());
    db.ports.clear();
    old.networks["default"].ipv4_address = db.networks["default"].ipv4_address = "10.0.0.9";
    EXPECT_TRUE(created_after_removal());
}

TEST_F(plan_test, one_that_is_there_already_starts_when_the_orphan_with_its_port_is_gone) {
    running("db");
    running("job");
    running("web");
    running("old");
    now.containers[2].state = run_state::exited;
    compose::service& web = project.services.at("web");
    web.ports = {{.published = "8000", .target = 80}};
    now.containers.back().definition = &web;
    orphans = true;
    const plan steps = up();
    EXPECT_TRUE(waits(steps, at(steps, "start container p-web-1"), at(steps, "remove container p-old-1")));
}

TEST_F(plan_test, services_that_exchange_ports_both_end_before_either_is_made) {
    running("db");
    running("job");
    running("web");
    compose::service before_db = project.services.at("db");
    compose::service before_web = project.services.at("web");
    before_db.ports = project.services.at("web").ports = {{.published = "1", .target = 80}};
    before_web.ports = project.services.at("db").ports = {{.published = "2", .target = 80}};
    now.containers[0].definition = &before_db;
    now.containers[2].definition = &before_web;
    hashes["db"] = hashes["web"] = "2";
    const plan steps = up();
    EXPECT_TRUE(waits(steps, at(steps, "create container p-db-1"), at(steps, "remove container p-web-1")));
    EXPECT_TRUE(waits(steps, at(steps, "create container p-web-1"), at(steps, "remove container p-db-1")));
}

TEST_F(plan_test, a_job_that_has_succeeded_is_not_run_again_but_one_that_failed_is) {
    running("db");
    running("job");
    running("web");
    now.containers[1].state = run_state::exited;
    now.containers[1].exit_code = 0;
    EXPECT_THAT(up(), IsEmpty());
    now.containers[1].exit_code = 1;
    EXPECT_THAT(shown(up()), ElementsAre("start container p-job-1"));
}

TEST_F(plan_test, a_missing_image_is_pulled_once_and_waited_for) {
    now.images.clear();
    const plan steps = up();
    EXPECT_EQ(std::count_if(
                  steps.begin(), steps.end(), [](const step& s) { return s.kind == step_kind::pull_image; }),
        2);
    EXPECT_TRUE(waits(steps, at(steps, "create container p-web-1"), at(steps, "pull image app")));
    project.services.at("web").pull_policy = "never";
    project.services.at("job").pull_policy = "never";
    EXPECT_THROW(up(), compose::error);
}

TEST_F(plan_test, what_is_external_must_be_there) {
    project.networks.at("default").external = true;
    EXPECT_THROW(up(), compose::error);
    now.networks = {{"p_default", {.name = "p_default", .project = "other"}}};
    EXPECT_NO_THROW(up());
}

TEST_F(plan_test, down_takes_dependents_first_then_networks_then_volumes_if_asked) {
    running("db");
    running("job");
    running("web");
    const plan steps = down(true);
    EXPECT_THAT(
        shown(steps), ElementsAre("stop container p-web-1", "remove container p-web-1",
                          "stop container p-job-1", "remove container p-job-1", "stop container p-db-1",
                          "remove container p-db-1", "remove network p_default", "remove volume p_data"));
    EXPECT_TRUE(waits(steps, at(steps, "stop container p-db-1"), at(steps, "remove container p-web-1")));
    EXPECT_TRUE(waits(steps, at(steps, "remove network p_default"), at(steps, "remove container p-db-1")));
    EXPECT_EQ(down(false).size(), steps.size() - 1);
}

TEST_F(plan_test, anonymous_volumes_go_with_the_volumes) {
    now.volumes = {{"p-db-1-cache", {.name = "p-db-1-cache", .project = "p"}},
        {"q-db-1-cache", {.name = "q-db-1-cache", .project = "q"}}};
    EXPECT_THAT(shown(down(true)), ElementsAre("remove volume p-db-1-cache"));
    EXPECT_TRUE(down(false).empty());
}

TEST_F(plan_test, down_goes_by_what_is_the_projects_own_not_by_what_the_file_still_declares) {
    running("db");
    now.networks["p_old"] = {.name = "p_old", .project = "p", .key = "old"};
    now.networks["q_default"] = {.name = "q_default", .project = "q", .key = "default"};
    now.volumes["p_old"] = {.name = "p_old", .project = "p", .key = "old"};
    EXPECT_THAT(shown(down(true)),
        ElementsAre("stop container p-db-1", "remove container p-db-1", "remove network p_default",
            "remove network p_old", "remove volume p_data", "remove volume p_old"));
    project.volumes["old"] = {.name = "p_old", .external = true}; // the file gives it away
    EXPECT_THAT(shown(down(true)), ::testing::Not(::testing::Contains("remove volume p_old")));
}

TEST_F(plan_test, down_keeps_the_volumes_that_only_an_earlier_file_declared) {
    now.volumes = {{"p_data", volume_of(project, "data")},
        {"p_old", {.name = "p_old", .project = "p", .key = "old"}},
        {"p-db-1-x", {.name = "p-db-1-x", .project = "p"}},
        {"p_given", {.name = "p_given", .project = "p", .key = "given"}}};
    project.volumes["given"] = {.name = "p_given", .external = true};
    down_request request{.project = project, .volumes = true, .declared = declared_volumes(project)};
    EXPECT_THAT(
        shown(plan_down(request, now)), ElementsAre("remove volume p-db-1-x", "remove volume p_data"));
    EXPECT_THAT(volumes_kept(request, now), ElementsAre("p_old"));
    request.volumes = false;
    EXPECT_THAT(volumes_kept(request, now), IsEmpty());
}

TEST_F(plan_test, down_leaves_orphans_unless_asked) {
    running("gone");
    EXPECT_THAT(shown(down(false)), ElementsAre("remove network p_default"));
    EXPECT_THAT(shown(down(false, true)),
        ElementsAre("stop container p-gone-1", "remove container p-gone-1", "remove network p_default"));
}

TEST_F(plan_test, a_service_that_is_off_is_no_orphan) {
    running("db");
    running("job");
    now.containers.back().state = run_state::exited;
    now.containers.back().exit_code = 0;
    running("web");
    running("tool");
    project.disabled_services["tool"] = {.name = "tool", .image = "app", .profiles = {"debug"}};
    orphans = true;
    EXPECT_THAT(up(), IsEmpty());
    EXPECT_THAT(
        shown(plan_stop(whole_of(project), now, {"tool"}, false)), ElementsAre("stop container p-tool-1"));
}

TEST_F(plan_test, a_changed_network_is_made_anew_with_the_containers_on_it) {
    for (const std::string service : {"db", "job", "web"})
        running(service);
    project.networks.at("default").internal = true;
    const plan steps = up();
    EXPECT_TRUE(waits(steps, at(steps, "remove network p_default"), at(steps, "remove container p-web-1")));
    EXPECT_TRUE(waits(steps, at(steps, "create network p_default"), at(steps, "remove network p_default")));
    for (const std::string name : {"p-db-1", "p-job-1", "p-web-1"})
        EXPECT_TRUE(
            waits(steps, at(steps, "create container " + name), at(steps, "create network p_default")));
    EXPECT_EQ(steps[at(steps, "create container p-db-1")].reason, "network p_default changed");
    now.containers.back().service = "tool"; // not among what is brought up
    try {
        up();
        ADD_FAILURE();
    } catch (const compose::error& refused) {
        EXPECT_THAT(refused.what(), ::testing::HasSubstr("--remove-orphans"));
    }
    orphans = true;
    EXPECT_NO_THROW(up());
}

TEST_F(plan_test, a_network_of_another_project_is_joined_by_the_same_key_or_as_an_external_one) {
    for (const std::string service : {"db", "job", "web"})
        running(service);
    now.networks.at("p_default").project = "other";
    now.networks.at("p_default").internal = true; // theirs to say
    EXPECT_NO_THROW(up());
    const up_request request{.project = project, .hashes = hashes, .services = {"db"}, .force_recreate = {}};
    EXPECT_THAT(left_unchanged(request, now), ElementsAre(::testing::HasSubstr("of project \"other\"")));
    now.networks.at("p_default").key = "back";
    EXPECT_THROW(up(), compose::error);
    project.networks.at("default").external = true;
    EXPECT_NO_THROW(up());
}

TEST_F(plan_test, new_labels_of_a_network_leave_the_containers_alone) {
    for (const std::string service : {"db", "web"})
        running(service);
    running("job");
    now.containers.back().state = run_state::exited;
    now.containers.back().exit_code = 0;
    project.networks.at("default").labels = {{"a", "b"}};
    EXPECT_THAT(shown(up()), ElementsAre("create network p_default"));
}

TEST_F(plan_test, changed_driver_options_of_a_volume_are_told) {
    running("db");
    const up_request request{.project = project, .hashes = hashes, .services = {"db"}, .force_recreate = {}};
    EXPECT_THAT(left_unchanged(request, now), IsEmpty());
    project.volumes.at("data").driver_opts = {{"type", "tmpfs"}};
    EXPECT_THAT(left_unchanged(request, now), ElementsAre(::testing::HasSubstr("p_data")));
}

TEST_F(plan_test, volumes_without_names_are_renewed_when_all_who_have_them_are_gone) {
    for (const std::string service : {"db", "web", "job"})
        running(service);
    now.containers.back().state = run_state::exited;
    now.containers.back().exit_code = 0;
    now.volumes["x"] = {.name = "x", .project = "p", .labels = {{"com.docker.volume.anonymous", ""}}};
    now.containers[0].volumes = {"p_data", "x"};
    now.containers[1].volumes = {"x"};
    const up_request request{.project = project,
        .hashes = hashes,
        .services = {"db", "job", "web"},
        .force_recreate = {},
        .renew_anonymous = true};
    const plan steps = plan_up(request, now);
    const std::size_t gone = at(steps, "remove volume x");
    for (const char* user : {"p-db-1", "p-web-1"}) {
        EXPECT_TRUE(waits(steps, gone, at(steps, fmt::format("remove container {}", user))));
        EXPECT_TRUE(waits(steps, at(steps, fmt::format("create container {}", user)), gone));
    }
    EXPECT_THAT(shown(steps), ::testing::Not(::testing::Contains("remove volume p_data")));
    EXPECT_THAT(shown(steps), ::testing::Not(::testing::Contains("create container p-job-1")));
    const up_request part{.project = project,
        .hashes = hashes,
        .services = {"db"},
        .force_recreate = {},
        .renew_anonymous = true};
    EXPECT_THROW(plan_up(part, now), compose::error);
}

TEST_F(plan_test, volumes_without_names_go_with_the_last_who_has_them) {
    running("db");
    running("web");
    now.volumes["x"] = {.name = "x", .project = "p", .labels = {{"com.docker.volume.anonymous", ""}}};
    for (observed_container& each : now.containers)
        each.volumes = {"p_data", "x"};
    plan one = plan_stop(project, now, {"web"}, true);
    remove_anonymous_volumes(one, now);
    EXPECT_THAT(shown(one), ::testing::Not(::testing::Contains("remove volume x")));
    plan both = plan_stop(project, now, {"db", "web"}, true);
    remove_anonymous_volumes(both, now);
    EXPECT_EQ(shown(both).back(), "remove volume x");
    EXPECT_EQ(both.back().after.size(), 2U);
}

TEST_F(plan_test, images_that_are_mounted_are_pulled_first_and_followed) {
    project.services.at("db").mounts.push_back(
        {.type = compose::mount_type::image, .source = "files", .target = "/files"});
    const plan first = up();
    EXPECT_TRUE(waits(first, at(first, "create container p-db-1"), at(first, "pull image files")));
    running("db");
    now.containers.back().mounted_images = {{"files", "sha256:1"}};
    now.images["files"] = "sha256:1";
    EXPECT_THAT(shown(up()), ::testing::Not(::testing::Contains("create container p-db-1")));
    now.images["files"] = "sha256:2";
    EXPECT_THAT(shown(up()), ::testing::Contains("create container p-db-1"));
}

TEST_F(plan_test, stop_and_start_are_one_anothers_reverse) {
    running("db");
    running("job");
    running("web");
    EXPECT_THAT(shown(plan_stop(project, now, {"db", "web"}, false)),
        ElementsAre("stop container p-web-1", "stop container p-db-1"));
    for (observed_container& each : now.containers)
        each.state = run_state::exited;
    EXPECT_THAT(shown(plan_start(project, now, {"db", "web"})),
        ElementsAre("start container p-db-1", "wait for db", "start container p-web-1"));
}

TEST_F(plan_test, what_a_former_daemon_wanted_is_carried_on_with_in_order) {
    for (const std::string service : {"web", "db", "gone"})
        running(service);
    for (observed_container& each : now.containers)
        each.state = run_state::exited;
    const plan steps =
        plan_start(project, now, {"db", "job", "web"}, std::set<std::string>{"id-db-1", "id-gone-1"});
    EXPECT_THAT(shown(steps), ElementsAre("start container p-db-1", "start container p-gone-1"));
    EXPECT_TRUE(steps[0].carry_on && steps[1].carry_on);
}

// A former daemon, or an `up` that has given way, has begun them.
TEST_F(plan_test, what_runs_with_hooks_due_is_not_yet_started_for_those_that_depend_on_it) {
    running("db");
    now.containers.back().hooks_due = true;
    running("job");
    running("web");
    EXPECT_THAT(shown(up()), ElementsAre("start container p-db-1"));
    EXPECT_EQ(up()[0].reason, "its post_start hooks run");
    now.containers[1].state = run_state::exited;
    const plan steps =
        plan_start(project, now, {"db", "job", "web"}, std::set<std::string>{"id-db-1", "id-job-1"});
    EXPECT_THAT(
        shown(steps), ElementsAre("start container p-db-1", "wait for db", "start container p-job-1"));
    EXPECT_TRUE(waits(steps, 2, 0));
}

TEST_F(plan_test, limits_change_while_a_container_runs) {
    running("db");
    running("job");
    running("web");
    const compose::service before = project.services.at("db");
    now.containers[0].definition = &before;
    EXPECT_THAT(up(), IsEmpty());
    project.services.at("db").limit.memory = 64 << 20;
    project.services.at("db").limit.pids = 20;
    const plan steps = up();
    ASSERT_EQ(steps.size(), 1U);
    EXPECT_EQ(steps[0].kind, step_kind::update_container);
    EXPECT_EQ(steps[0].container, "id-db-1");
    EXPECT_EQ(steps[0].reason, "mem_limit, pids_limit changed");
    now.containers[0].state = run_state::exited;
    EXPECT_THAT(shown(up()), ElementsAre("update container p-db-1", "start container p-db-1"));
    EXPECT_THAT(up()[1].after, ElementsAre(0));
}

} // namespace
} // namespace engine
