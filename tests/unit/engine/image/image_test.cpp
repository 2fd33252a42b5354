#include "engine/image/config.hpp"
#include "engine/image/reference.hpp"

#include "compose/model/error.hpp"

#include <gtest/gtest.h>

namespace engine {
namespace {

TEST(reference, short_names_are_docker_hubs) {
    const std::pair<std::string_view, std::string_view> table[]{{"nginx", "docker.io/library/nginx:latest"},
        {"nginx:1.25", "docker.io/library/nginx:1.25"},
        {"grafana/grafana", "docker.io/grafana/grafana:latest"}, {"localhost/x", "localhost/x:latest"},
        {"127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t"}, {"ghcr.io/o/i", "ghcr.io/o/i:latest"},
        {"index.docker.io/nginx", "docker.io/library/nginx:latest"}};
    for (const auto& [text, expected] : table)
        EXPECT_EQ(parse_reference(text).name(), expected) << text;
    EXPECT_EQ(parse_reference("nginx").short_name(), "nginx:latest");
}

TEST(reference, a_digest_pins_it) {
    const std::string pin = "sha256:" + std::string(64, 'a');
    EXPECT_EQ(parse_reference("nginx@" + pin).name(), "docker.io/library/nginx@" + pin);
}

TEST(reference, nonsense_is_refused) {
    for (const char* text :
        {"", "Nginx", "a//b", "a:", "a:b c", "../x", "a@sha256:12", "-a", "a/-b", "a b", "x/y@md5:aa"})
        EXPECT_THROW(parse_reference(text), compose::error) << text;
}

TEST(digest, only_sha256_in_lower_case_hex) {
    EXPECT_EQ(
        sha256_of("").text(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (const std::string& text : {std::string("sha256:../../etc/passwd"), "sha256:" + std::string(63, 'a'),
             "sha256:" + std::string(64, 'A'), std::string()})
        EXPECT_THROW(digest{text}, compose::error) << text;
}

TEST(image_document, dockers_nulls_and_health_are_read) {
    const image_document document = parse_image_document(
        R"({"architecture":"amd64","os":"linux","config":{"Entrypoint":null,"Cmd":["a"],"Volumes":{"/d":{}},)"
        R"("Healthcheck":{"Test":["CMD","x"],"Interval":1000000000}},"rootfs":{"diff_ids":["sha256:)" +
        std::string(64, 'b') + R"("]}})");
    EXPECT_EQ(document.config.cmd, std::vector<std::string>{"a"});
    EXPECT_EQ(document.config.volumes, std::vector<std::string>{"/d"});
    EXPECT_EQ(document.config.healthcheck->interval, std::chrono::seconds(1));
    EXPECT_EQ(document.platform, "linux/amd64");
}

TEST(image_document, nonsense_is_refused) {
    for (const char* text : {"", "{}", "[]", R"({"rootfs":{}})",
             R"({"os":"windows","rootfs":{"diff_ids":[]}})", R"({"rootfs":{"diff_ids":["../x"]}})"})
        EXPECT_THROW(parse_image_document(text), compose::error) << text;
}

} // namespace
} // namespace engine
