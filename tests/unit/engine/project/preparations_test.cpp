#include "engine/project/preparations.hpp"

#include <gtest/gtest.h>

namespace engine {
namespace {

compose::service prepared() {
    compose::service made;
    made.name = "web";
    made.image = "app:1";
    made.entrypoint = {"/entry"};
    made.command = {"serve"};
    made.container_name = "the-web";
    made.user = "app";
    made.environment = {{"A", "service"}, {"B", "kept"}};
    made.ports = {{.target = 80}};
    made.mounts = {{.type = compose::mount_type::volume, .source = "data", .target = "/data"},
        {.type = compose::mount_type::tmpfs, .target = "/tmp"}};
    made.networks["default"].ipv4_address = "10.0.0.9";
    made.restart.mode = compose::restart_mode::always;
    made.scale = 3;
    made.tty = true;
    made.depends_on["db"] = {};
    made.post_start = {{.command = {"x"}}};
    made.pre_start = {
        {.work = {.command = {"migrate"}}, .image = "app:1"}, {.work = {.command = {"chown"},
                                                                   .user = "root",
                                                                   .privileged = true,
                                                                   .working_dir = "/w",
                                                                   .environment = {{"A", "step"}}},
                                                                  .image = "tool:1"}};
    return made;
}

TEST(preparation_of, is_the_service_but_for_what_belongs_to_one_container_alone) {
    const compose::service step = preparation_of(prepared(), 0, "0123456789abcdef");
    EXPECT_EQ(step.image, "app:1");
    EXPECT_EQ(step.entrypoint, std::vector<std::string>{"/entry"});
    EXPECT_EQ(step.command, std::vector<std::string>{"migrate"});
    EXPECT_EQ(step.user, "app");
    EXPECT_EQ(step.environment, prepared().environment);
    EXPECT_EQ(step.container_name, "");
    EXPECT_TRUE(step.ports.empty());
    EXPECT_EQ(step.networks.at("default").ipv4_address, "");
    EXPECT_EQ(step.restart.mode, compose::restart_mode::no);
    EXPECT_EQ(step.scale, 1U);
    EXPECT_FALSE(step.tty);
    EXPECT_TRUE(step.health && step.health->disable);
    EXPECT_TRUE(step.depends_on.empty() && step.post_start.empty() && step.pre_start.empty());
}

TEST(preparation_of, has_the_volumes_of_the_container_that_it_prepares) {
    const compose::service step = preparation_of(prepared(), 0, "0123456789abcdef");
    EXPECT_EQ(step.volumes_from, std::vector<std::string>{"container:0123456789abcdef"});
    ASSERT_EQ(step.mounts.size(), 1U);
    EXPECT_EQ(step.mounts[0].target, "/tmp");
}

TEST(preparation_of, says_what_differs_and_an_image_of_its_own_has_its_own_entrypoint) {
    const compose::service step = preparation_of(prepared(), 1, "0123456789abcdef");
    EXPECT_EQ(step.image, "tool:1");
    EXPECT_FALSE(step.entrypoint);
    EXPECT_EQ(step.command, std::vector<std::string>{"chown"});
    EXPECT_EQ(step.user, "root");
    EXPECT_TRUE(step.privileged);
    EXPECT_EQ(step.working_dir, "/w");
    EXPECT_EQ(step.environment.at("A"), "step");
    EXPECT_EQ(step.environment.at("B"), "kept");
}

} // namespace
} // namespace engine
