#include "compose/load/loader.hpp"

#include "compose/encode/encode.hpp"
#include "compose/load/node.hpp"
#include "compose/load/render.hpp"
#include "compose/load/yaml.hpp"

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

    loaded load_whole(const std::string& text) {
        write("compose.yaml", text);
        return load(options);
    }
    project load_from(const std::string& text) { return load_whole(text).project; }

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
    EXPECT_THAT(failure_of("services:\n  web: {image: 5}\n"),
        HasSubstr("2:16: services.web.image: must be a string, not a number; quote it: \"5\""));
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

TEST_F(loader_test, what_nothing_acts_on_yet_is_kept_and_told) {
    const loaded read = load_whole("services:\n  web: {image: x, mem_limit: 1g, cpu_count: 3, x-own: 1}\n");
    EXPECT_THAT(read.ignored, ::testing::ElementsAre("services.web.cpu_count"));
    EXPECT_THAT(to_yaml(*read.tree), HasSubstr("cpu_count: 3"));
    EXPECT_EQ(read.project.services.at("web").limit.memory, std::int64_t{1} << 30);
}

TEST_F(loader_test, what_would_not_take_effect_is_refused_when_it_is_to_run) {
    for (const char* text :
        {"services: {a: {image: x, pull_policy: build}}\n", "services: {a: {image: x, mem_limit: 1m}}\n",
            "services: {a: {image: x, memswap_limit: 64m}}\n", "services: {a: {image: x, ipc: mine}}\n",
            "services: {a: {image: x, isolation: hyperv}}\n", "services: {a: {image: x, devices: [fuse]}}\n",
            "services: {a: {image: x, network_mode: overlay}}\n", "services: {a: {build: .}}\n",
            "services: {a: {image: x, container_name: 'ab cd'}}\n",
            "services: {a: {image: x, stop_signal: SIGNOPE}}\n",
            "services: {a: {image: x, hostname: \"a\\n127.0.0.1 b\"}}\n",
            "services: {a: {image: x, domainname: 'a b'}}\n",
            "services: {a: {image: x, extra_hosts: ['a b=1.2.3.4']}}\n",
            "services: {a: {image: x, ports: ['80:80', '80:81']}}\n",
            "services: {a: {image: x, ports: ['127.0.0.1:80:80', '80:81']}}\n",
            "services: {a: {image: x, healthcheck: {test: [CMD]}}}\n",
            "services: {a: {image: x, logging: {driver: gelf}}}\n",
            "services: {a: {image: x, logging: {options: {max-size: none}}}}\n",
            "services: {a: {image: x, logging: {options: {max-file: '1001'}}}}\n",
            "services: {a: {image: x, logging: {options: {max-fiel: '3'}}}}\n",
            "services: {a: {image: x, logging: {options: {tag: '{{.Nam}}'}}}}\n",
            "services: {a: {image: x, logging: {driver: syslog, options: {syslog-address: 'http://x'}}}}\n",
            "services: {a: {image: x}}\nnetworks: {default: {ipam: {config: [{subnet: 10.1.0.0/24}, {subnet: "
            "10.2.0.0/24}]}}}\n",
            "services: {a: {image: x}}\nnetworks: {default: {enable_ipv4: false}}\n",
            "services: {a: {image: x}}\nnetworks: {default: {driver: overlay}}\n",
            "services: {a: {image: x}}\nnetworks: {default: {ipam: {driver: dhcp}}}\n",
            "services: {a: {image: x}}\nnetworks: {default: {ipam: {config: [{subnet: fd00::/64}]}}}\n",
            "services: {a: {image: x, mac_address: '01:00:5e:00:00:01'}}\n",
            "services: {a: {image: x, networks: {default: {ipv6_address: 10.0.0.2}}}}\n",
            "services: {a: {image: x, networks: {default: {interface_name: a/b}}}}\n",
            "services: {a: {image: x, networks: {default: {driver_opts: {mtu: '7'}}}}}\n",
            "services: {a: {image: x, networks: {default: {link_local_ips: [nowhere]}}}}\n"}) {
        project wanted = load_from(text);
        EXPECT_THROW(check_project(wanted), load_error) << text;
    }
}

TEST_F(loader_test, a_quote_that_is_not_closed_is_told_where_it_begins) {
    EXPECT_THAT(failure_of("services:\n  web:\n    image: \"x\n    tty: true\n"),
        HasSubstr("3:12: not YAML: the quote is not closed"));
    EXPECT_THAT(
        failure_of("services:\n  web: {image: 'x}\n"), HasSubstr("or a quote after it, is not closed"));
}

TEST(load_text, a_request_names_no_files_of_the_host) {
    for (const char* text : {"services: {a: {image: x, env_file: /etc/passwd}}\n",
             "services: {a: {image: x, label_file: [/etc/passwd]}}\n",
             "services: {a: {image: x, volumes: ['./a:/a']}}\n",
             "services: {a: {extends: {file: /etc/passwd, service: b}}}\n",
             "include: [/etc/passwd]\nservices: {a: {image: x}}\n"})
        EXPECT_THROW(load_text(text, "p"), load_error) << text;
    EXPECT_EQ(load_text("services: {b: {image: x}, a: {extends: b}}\n", "p").services.at("a").image, "x");
}

TEST_F(loader_test, extended_and_included_files_have_their_own_folder) {
    std::filesystem::create_directory(folder / "sub");
    write("sub/base.yaml", "services: {b: {image: b, volumes: ['./x:/x'], labels: {a: '${IN-none}'}}}\n");
    write("sub/.env", "IN=inner\n");
    const project loaded =
        load_from("include: [sub/base.yaml]\nservices:\n  a: {extends: {file: sub/base.yaml, service: b}}\n");
    for (const char* name : {"a", "b"})
        EXPECT_EQ(loaded.services.at(name).mounts[0].source, (folder / "sub/x").native()) << name;
    EXPECT_EQ(
        loaded.services.at("a").labels.at("a"), "none"); // an extended file has the variables of who extends
    EXPECT_EQ(loaded.services.at("b").labels.at("a"), "inner");
}

TEST_F(loader_test, the_projects_name_is_a_variable) {
    EXPECT_EQ(load_from("services: {web: {image: 'x:${COMPOSE_PROJECT_NAME}'}}\n").services.at("web").image,
        "x:shop");
}

TEST_F(loader_test, forms_that_differ_are_merged_in_their_long_form) {
    write("compose.override.yaml",
        "services:\n  web:\n    depends_on: [db]\n    environment: [A]\n    volumes: ['./b:/x/']\n"
        "    ports: [{target: 80, published: '80', mode: host}]\n    networks: {n: {aliases: [a]}}\n");
    const project loaded =
        load_from("services:\n  web:\n    image: x\n    depends_on: {db: {condition: service_healthy}}\n"
                  "    environment: {A: 1}\n    volumes: ['./a:/x']\n    ports: ['80:80']\n    networks: {n: "
                  "{aliases: [a]}}\n"
                  "  db: {image: x}\nnetworks: {n: }\n");
    const service& web = loaded.services.at("web");
    EXPECT_EQ(web.depends_on.at("db").condition, dependency_condition::started);
    EXPECT_EQ(web.environment.at("A"), std::nullopt);
    EXPECT_EQ(web.mounts.size(), 1U);
    EXPECT_EQ(web.mounts[0].source, (folder / "b").native());
    ASSERT_EQ(web.ports.size(), 1U);
    EXPECT_EQ(web.ports[0].mode, "host");
    EXPECT_EQ(web.networks.at("n").aliases.size(), 1U);
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

// Found by fuzzing: yaml-cpp reads empty documents of it for ever.
TEST(parse_yaml, what_can_begin_no_value_is_refused) {
    EXPECT_THROW(parse_yaml(",nclude:\n  - path: inc.yaml\n", "comma"), load_error);
    EXPECT_EQ(parse_yaml("---\na: 1\n---\n---\nb: 2\n...\n", "three").size(), 3U);
}

TEST(parse_yaml, an_alias_within_its_own_value_is_refused) {
    EXPECT_THROW(parse_yaml("a: &a [*a]\n", "round"), load_error);
    EXPECT_THROW(parse_yaml("a: &a {<<: *a}\n", "round"), load_error);
}

TEST(parse_yaml, depth_and_size_are_limited) {
    EXPECT_THROW(parse_yaml(std::string(2000, '['), "deep"), load_error);
    EXPECT_THROW(parse_yaml(std::string(5U << 20U, ' '), "large"), load_error);
}

TEST_F(loader_test, the_wire_form_loses_nothing_and_the_canonical_form_means_the_same) {
    const compose::loaded read = load_whole(
        "services:\n  web:\n    image: x\n    command: [a, 'b $$c']\n    ports: ['127.0.0.1:80:80/udp']\n"
        "    healthcheck: {test: 'true', interval: 1m30s}\n    restart: on-failure:3\n"
        "    environment: {A: , B: 'yes'}\n    volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m}}]\n"
        "x-top: {a: [1, b]}\n");
    const project& loaded = read.project;
    EXPECT_EQ(from_wire(to_wire(loaded)), loaded);
    write("again.yaml", to_yaml(*read.tree));
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
