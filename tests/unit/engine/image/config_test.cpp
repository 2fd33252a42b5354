#include "engine/image/config.hpp"

#include "compose/model/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <climits>

namespace engine {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using namespace std::chrono_literals;

const std::string layer = "sha256:" + std::string(64, '1');

TEST(image_document, all_of_docker_s_keys_are_read) {
    const image_document document = parse_image_document(R"({"architecture":"amd64","os":"linux",
        "created":"2024-01-02T03:04:05Z","rootfs":{"type":"layers","diff_ids":[")" +
                                                         layer + R"("]},
        "config":{"Entrypoint":["/e"],"Cmd":["a","b"],"Env":["A=1"],"User":"u:g","WorkingDir":"/w",
            "StopSignal":"SIGQUIT","Volumes":{"/data":{}},"ExposedPorts":{"80/tcp":{}},"Labels":{"k":"v"},
            "Healthcheck":{"Test":["CMD","x"],"Interval":1000000000,"Retries":4}}})");
    const image_config& config = document.config;
    EXPECT_THAT(config.entrypoint, ElementsAre("/e"));
    EXPECT_THAT(config.cmd, ElementsAre("a", "b"));
    EXPECT_THAT(config.env, ElementsAre("A=1"));
    EXPECT_EQ(config.user, "u:g");
    EXPECT_EQ(config.working_dir, "/w");
    EXPECT_EQ(config.stop_signal, "SIGQUIT");
    EXPECT_THAT(config.volumes, ElementsAre("/data"));
    EXPECT_THAT(config.exposed_ports, ElementsAre("80/tcp"));
    EXPECT_THAT(config.labels, ElementsAre(Pair("k", "v")));
    ASSERT_TRUE(config.healthcheck);
    EXPECT_EQ(config.healthcheck->interval, 1s);
    EXPECT_EQ(document.platform, "linux/amd64");
    EXPECT_THAT(document.diff_ids, ElementsAre(digest(layer)));
}

TEST(image_document, null_is_empty) {
    const image_document document =
        parse_image_document(R"({"os":"linux","architecture":"arm64","rootfs":{"diff_ids":[]},
        "config":{"Entrypoint":null,"Cmd":null,"Env":null,"Volumes":null,"Labels":null,"Healthcheck":null}})");
    EXPECT_EQ(document.config, image_config{});
}

// It may be one that an earlier version has let in, and no daemon must fail to start for it.
TEST(image_document, more_layers_than_can_be_mounted_are_read) {
    std::string ids = '"' + layer + '"';
    for (std::size_t count = 1; count <= most_layers; ++count)
        ids += ",\"" + layer + '"';
    EXPECT_EQ(
        parse_image_document(R"({"rootfs":{"diff_ids":[)" + ids + "]}}").diff_ids.size(), most_layers + 1);
}

TEST(image_document, numbers_of_a_health_check) {
    const auto retries = [](const std::string& number) {
        return parse_image_document(
            R"({"rootfs":{"diff_ids":[]},"config":{"Healthcheck":{"Retries":)" + number + "}}}")
            .config.healthcheck->retries;
    };
    EXPECT_EQ(retries("4"), 4U);
    EXPECT_EQ(retries("-5"), std::nullopt);
    EXPECT_EQ(retries("1099511627776"), static_cast<unsigned>(INT_MAX));
    try {
        retries("1.5");
        ADD_FAILURE();
    } catch (const compose::error& failure) {
        EXPECT_STREQ(failure.what(), "image configuration: Retries: 1.5E0 is no number that it can be");
    }
}

TEST(image_document, nonsense_is_refused) {
    for (const char* text : {"", "[]", "{}", "null", R"({"rootfs":{}})",
             R"({"rootfs":{"diff_ids":["sha256:x"]}})", R"({"os":"windows","rootfs":{"diff_ids":[]}})",
             R"({"config":{"Env":"A"},"rootfs":{"diff_ids":[]}})",
             R"({"config":{"Cmd":[1]},"rootfs":{"diff_ids":[]}})",
             R"({"config":{"Labels":{"a":1}},"rootfs":{"diff_ids":[]}})"}) {
        try {
            parse_image_document(text);
            ADD_FAILURE() << text;
        } catch (const compose::error& failure) {
            EXPECT_EQ(failure.kind(), compose::error_kind::invalid) << text;
        }
    }
}

} // namespace
} // namespace engine
