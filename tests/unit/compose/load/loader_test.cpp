#include "compose/load/loader.hpp"

#include "compose/encode/encode.hpp"
#include "compose/load/node.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>

namespace compose {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;

struct loader_test : ::testing::Test {
    loader_test() {
        std::string pattern = "/tmp/composed-loader-test-XXXXXX";
        folder = ::mkdtemp(pattern.data());
        options.working_directory = folder;
        options.project_name = "shop";
    }
    ~loader_test() override { std::filesystem::remove_all(folder); }

    void write(const std::string& name, const std::string& text) const {
        std::ofstream(folder / name) << text;
    }

    project load_from(const std::string& text) {
        write("compose.yaml", text);
        return load(options).project;
    }

    std::string failure_of(const std::string& text) {
        try {
            load_from(text);
        } catch (const error& failure) {
            return failure.what();
        }
        return {};
    }

    std::filesystem::path folder;
    load_options options;
};

TEST_F(loader_test, names_networks_and_paths_are_filled_in) {
    const project loaded =
        load_from("services:\n  web:\n    image: nginx\n    volumes: [./a:/a, data:/b]\nvolumes: {data: }\n");
    EXPECT_EQ(loaded.networks.at("default").name, "shop_default");
    EXPECT_EQ(loaded.volumes.at("data").name, "shop_data");
    EXPECT_EQ(loaded.services.at("web").mounts[0].source, (folder / "a").native());
    EXPECT_THAT(loaded.services.at("web").networks, Contains(Key("default")));
}

TEST_F(loader_test, an_override_file_lies_over_the_first) {
    write("compose.override.yaml",
        "services:\n  web:\n    command: b\n    environment: [A=2, C=3]\n    ports: ['81:81']\n");
    const project loaded = load_from("services:\n  web:\n    image: x\n    command: [a, b]\n    environment: "
                                     "{A: 1, B: 1}\n    ports: ['80:80']\n");
    const service& web = loaded.services.at("web");
    EXPECT_EQ(web.command, std::vector<std::string>{"b"});
    EXPECT_EQ(web.environment.at("A"), "2");
    EXPECT_EQ(web.environment.at("B"), "1");
    EXPECT_EQ(web.ports.size(), 2U);
}

TEST_F(loader_test, variables_come_from_the_process_then_from_dot_env) {
    write(".env", "TAG=from-file\nOTHER=x\n");
    options.environment["TAG"] = "from-process";
    const project loaded = load_from("services: {web: {image: 'nginx:${TAG}', user: $OTHER}}\n");
    EXPECT_EQ(loaded.services.at("web").image, "nginx:from-process");
    EXPECT_EQ(loaded.services.at("web").user, "x");
}

TEST_F(loader_test, env_files_lie_under_environment) {
    write("a.env", "A=1\nB=1\n");
    const project loaded = load_from("services:\n  web:\n    image: x\n    env_file: [a.env, {path: "
                                     "none.env, required: false}]\n    environment: {B: 2}\n");
    EXPECT_EQ(loaded.services.at("web").environment.at("A"), "1");
    EXPECT_EQ(loaded.services.at("web").environment.at("B"), "2");
}

TEST_F(loader_test, profiles_decide_what_is_there) {
    const std::string text = "services:\n  web: {image: x}\n  debug: {image: x, profiles: [dev]}\n";
    EXPECT_EQ(load_from(text).services.size(), 1U);
    options.profiles = {"dev"};
    EXPECT_EQ(load_from(text).services.size(), 2U);
    options.profiles = {};
    options.services = {"debug"};
    EXPECT_EQ(load_from(text).services.size(), 2U);
}

TEST_F(loader_test, mistakes_have_a_place_a_path_and_a_hint) {
    EXPECT_THAT(failure_of("services:\n  web:\n    image: x\n    prots: []\n"),
        HasSubstr("compose.yaml:4:5: services.web.prots: unknown key, did you mean \"ports\"?"));
    EXPECT_THAT(failure_of("services:\n  web:\n    image: x\n    mem_limit: 1g\n"),
        HasSubstr("services.web.mem_limit: is not supported yet"));
    EXPECT_THAT(failure_of("services:\n  web:\n    image: x\n    ports: [a]\n"),
        HasSubstr("4:13: services.web.ports[0]"));
    EXPECT_THAT(failure_of("services:\n  web: {image: x, tty: maybe}\n"),
        HasSubstr("\"maybe\" is not true or false"));
    EXPECT_THAT(failure_of("services:\n  web: {image: x, networks: [frnt]}\nnetworks: {front: }\n"),
        HasSubstr("did you mean \"front\"?"));
    EXPECT_THAT(failure_of("services:\n  a: {image: x}\n  a: {image: y}\n"),
        HasSubstr("3:3: services.a: the key is there twice"));
    EXPECT_THAT(failure_of("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n"),
        HasSubstr("a -> b -> a"));
    EXPECT_THAT(failure_of("services:\n  a: [\n"), HasSubstr("not YAML"));
}

TEST_F(loader_test, what_would_not_take_effect_is_an_error) {
    for (const char* text : {"services: {a: {image: x, pull_policy: always}}\n",
             "services: {a: {image: x, network_mode: 'service:b'}}\n",
             "services:\n  a: {image: x, depends_on: {b: {condition: service_started, restart: true}}}\n  b: "
             "{image: x}\n",
             "services: {a: {image: x}}\nnetworks: {default: {enable_ipv6: true}}\n"})
        EXPECT_THAT(failure_of(text), HasSubstr("not supported yet")) << text;
}

TEST_F(loader_test, reset_and_override_take_effect) {
    write("compose.override.yaml",
        "services:\n  web:\n    ports: !override ['81:81']\n    environment: {A: !reset null}\n");
    const project loaded =
        load_from("services:\n  web:\n    image: x\n    environment: {A: 1, B: 2}\n    ports: ['80:80']\n");
    EXPECT_EQ(loaded.services.at("web").ports.size(), 1U);
    EXPECT_FALSE(loaded.services.at("web").environment.contains("A"));
}

TEST_F(loader_test, anchors_and_merge_keys_are_written_out) {
    const project loaded =
        load_from("x-base: &base {image: x, user: u}\nservices:\n  a: {<<: *base, user: own}\n  b: *base\n");
    EXPECT_EQ(loaded.services.at("a").user, "own");
    EXPECT_EQ(loaded.services.at("b").user, "u");
}

TEST_F(loader_test, there_being_no_file_says_what_to_do) {
    try {
        load(options);
        FAIL();
    } catch (const error& failure) {
        EXPECT_EQ(failure.kind(), error_kind::not_found);
        EXPECT_THAT(failure.what(), HasSubstr("no configuration file provided"));
    }
}

TEST(parse_yaml, a_bomb_of_aliases_ends_soon) {
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int level = 1; level < 10; ++level) {
        const std::string before = "*a" + std::to_string(level - 1);
        text += "a" + std::to_string(level) + ": &a" + std::to_string(level) + " [";
        for (int copy = 0; copy < 10; ++copy)
            text += (copy == 0 ? "" : ", ") + before;
        text += "]\n";
    }
    const auto began = std::chrono::steady_clock::now();
    EXPECT_THROW(parse_yaml(text, "bomb", {.nodes = 100'000}), load_error);
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(2));
}

TEST(parse_yaml, depth_and_size_are_limited) {
    EXPECT_THROW(parse_yaml(std::string(2000, '['), "deep"), load_error);
    EXPECT_THROW(parse_yaml(std::string(5U << 20U, ' '), "large"), load_error);
}

TEST_F(loader_test, the_wire_form_loses_nothing_and_the_canonical_form_means_the_same) {
    const project loaded = load_from(
        "services:\n  web:\n    image: x\n    command: [a, 'b $$c']\n    ports: ['127.0.0.1:80:80/udp']\n"
        "    healthcheck: {test: 'true', interval: 1m30s}\n    restart: on-failure:3\n"
        "    environment: {A: , B: 'yes'}\n    volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m}}]\n"
        "x-top: {a: [1, b]}\n");
    EXPECT_EQ(from_wire(to_wire(loaded)), loaded);
    write("again.yaml", to_yaml(loaded));
    options.files = {"again.yaml"};
    project again = load(options).project;
    again.config_files = loaded.config_files;
    EXPECT_EQ(again, loaded);
}

TEST_F(loader_test, the_hash_is_over_what_makes_the_container) {
    service one = load_from("services: {web: {image: x, environment: {A: 1}}}\n").services.at("web");
    service other = one;
    other.scale = 5;
    other.depends_on["db"] = {};
    EXPECT_EQ(service_hash(one), service_hash(other));
    other.environment["A"] = "2";
    EXPECT_NE(service_hash(one), service_hash(other));
}

TEST(from_wire, nonsense_is_refused) {
    for (const char* text :
        {"", "{", "[]", "3", R"({"name":3})", R"({"nme":"x"})", R"({"services":{"a":{"name":"b"}}})"})
        EXPECT_THROW(from_wire(text), error) << text;
}

} // namespace
} // namespace compose
