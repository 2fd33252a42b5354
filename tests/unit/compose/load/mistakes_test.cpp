#include "compose/load/loader.hpp"
#include "compose/load/yaml.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace compose {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// What is told of the YAML text of one file.
std::string fault_of(const std::string& text) {
    try {
        parse_yaml(text, "f");
    } catch (const load_error& failure) {
        return failure.what();
    }
    return {};
}

TEST(yaml_fault, says_what_to_write_at_the_line_that_is_to_be_changed) {
    const auto within = [](const std::string& lines) {
        return fault_of("services:\n  web:\n    image: a\n" + lines);
    };
    EXPECT_THAT(fault_of("services:\n\tweb:\n\t\timage: a\n"), StartsWith("f:2:1: not YAML: a tab indents"));
    EXPECT_THAT(within("    command:\n\t- x\n"), StartsWith("f:5:1: not YAML: a tab indents"));
    EXPECT_THAT(within("    user:b\n    command: x\n"),
        StartsWith("f:4:5: not YAML: \"user:b\" is no key: after its \":\" there must be a space"));
    EXPECT_THAT(fault_of("services:\n  web # here\n    image: a\n"),
        StartsWith("f:2:3: not YAML: \"web\" is no key without a \":\""));
    EXPECT_THAT(
        within("    command: echo a: b\n"), StartsWith("f:4:20: not YAML: a value with \": \" in it"));
    EXPECT_THAT(within("   command: x\n"), StartsWith("f:4:4: not YAML: this line is indented as none"));
    EXPECT_THAT(within("    command: @x\n"), StartsWith("f:4:14: not YAML: a value cannot begin with @"));
    EXPECT_THAT(within("    command: *x\n"), StartsWith("f:4:14: not YAML: there is no anchor"));
    EXPECT_THAT(within("    ports: [\"80:80\"\n"), HasSubstr("is not closed"));
    EXPECT_THAT(within("    image: b: \n"), StartsWith("f:4:"));
    EXPECT_THAT(fault_of("a\n b: c: d"), StartsWith("f:"));
}

struct mistakes_test : ::testing::Test {
    mistakes_test() {
        std::string pattern = "/tmp/composed-mistakes-test-XXXXXX";
        options.working_directory = ::mkdtemp(pattern.data());
        options.project_name = "shop";
    }
    ~mistakes_test() override { std::filesystem::remove_all(options.working_directory); }

    void write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories((options.working_directory / name).parent_path());
        std::ofstream(options.working_directory / name) << text;
    }

    /// Of what is wrong with the file as a whole, once it is read.
    std::vector<std::string> paths_that_the_check_tells() const {
        project read = load(options).project;
        std::vector<std::string> told;
        try {
            check_project(read);
        } catch (const load_error& failure) {
            for (const diagnostic& each : failure.diagnostics())
                told.push_back(each.path);
        }
        return told;
    }

    /// "LINE path: message" of each mistake in a file.
    std::vector<std::string> in(const std::string& text) {
        write("compose.yaml", text);
        std::vector<std::string> lines;
        try {
            load(options);
        } catch (const load_error& failure) {
            for (const diagnostic& each : failure.diagnostics())
                lines.push_back(std::to_string(each.at.line) + " " + each.path + ": " + each.message);
        }
        return lines;
    }

    load_options options;
};

TEST_F(mistakes_test, what_is_written_wrongly_hides_nothing_that_refers_to_what_there_is_not) {
    EXPECT_THAT(in("services:\n"
                   "  a:\n"
                   "    imag: x\n"
                   "    depends_on: [nope]\n"
                   "    volumes: [v:/x]\n"
                   "    secrets: [s]\n"
                   "    healthcheck: {test: x, interval: 3}\n"
                   "  b:\n"
                   "    image: [x]\n"
                   "    depends_on: {a: {condition: healthy}, c: {condition: service_started}}\n"
                   "    networks: [n, m]\n"
                   "networks: {n: 1}\n"),
        ::testing::ElementsAre(HasSubstr("3 services.a.imag: unknown key"),
            HasSubstr("4 services.a.depends_on[0]: depends on undefined"),
            HasSubstr("5 services.a.volumes[0]: refers to undefined volume"),
            HasSubstr("6 services.a.secrets[0]: refers to undefined secret"),
            HasSubstr("7 services.a.healthcheck.interval:"),
            HasSubstr("9 services.b.image: must be a string"),
            HasSubstr("10 services.b.depends_on.a.condition:"),
            HasSubstr("10 services.b.depends_on.c: depends on undefined"),
            HasSubstr("11 services.b.networks[1]: refers to undefined network"),
            HasSubstr("12 networks.n: must be a mapping")));
}

TEST_F(mistakes_test, a_key_that_there_is_none_of_hides_what_it_is_taken_for_and_nothing_else) {
    EXPECT_THAT(in("volums: {v: }\n"
                   "services:\n"
                   "  a:\n"
                   "    image: x\n"
                   "    volumes: [v:/x]\n"
                   "    depends_on: [nope]\n"
                   "    configs: [c]\n"
                   "  'a b':\n"
                   "    networks: [n]\n"
                   "configs: [c]\n"),
        ::testing::ElementsAre(HasSubstr("1 volums: unknown key"),
            HasSubstr("6 services.a.depends_on[0]: depends on undefined"),
            HasSubstr("8 services.a b: a name has letters"),
            HasSubstr("9 services.a b.networks[0]: refers to undefined network"),
            HasSubstr("10 configs: must be a mapping")));
}

TEST_F(mistakes_test, what_is_not_there_hides_only_what_it_would_have_brought) {
    EXPECT_THAT(in("services:\n"
                   "  a:\n"
                   "    extends: nothing\n"
                   "    networks: [n]\n"
                   "  b: {extends: a}\n"
                   "  c: {image: '${X:?m}', depends_on: [nope]}\n"
                   "  d: {user: x}\n"),
        ::testing::ElementsAre(HasSubstr("3 services.a.extends: cannot extend"),
            HasSubstr("4 services.a.networks[0]: refers to undefined network"),
            HasSubstr("6 services.c.image: required variable X"),
            HasSubstr("6 services.c.depends_on[0]: depends on undefined"),
            HasSubstr("7 services.d: has neither an image nor a build")));
    EXPECT_THAT(in("include: [nope.yaml]\nservices:\n  a: {networks: [n]}\n"),
        ::testing::ElementsAre(HasSubstr("1 include[0]"), HasSubstr("3 services.a: has neither an image")));
}

TEST_F(mistakes_test, what_is_wrong_with_a_base_is_not_missed_where_it_is_extended) {
    write("base.yaml", "services:\n  x: {imag: y}\n");
    EXPECT_THAT(in("name: '${X:?m}'\n"
                   "services:\n"
                   "  a: {extends: {service: x, file: base.yaml}}\n"
                   "  b: {extends: a}\n"
                   "  c: {imag: z}\n"
                   "  d: {extends: c, user: [me]}\n"
                   "  e: {user: me}\n"),
        ::testing::UnorderedElementsAre(HasSubstr("1 name: required variable X"),
            HasSubstr("2 services.x.imag: unknown key"), HasSubstr("5 services.c.imag: unknown key"),
            HasSubstr("6 services.d.user: must be a string"), HasSubstr("7 services.e: has neither")));
}

TEST_F(mistakes_test, each_key_that_names_what_there_is_not_is_told_once) {
    EXPECT_THAT(in("services:\n"
                   "  a:\n"
                   "    image: x\n"
                   "    depends_on: [nope]\n"
                   "    links: [nope]\n"
                   "    network_mode: service:gone\n"
                   "    configs: [cfgg]\n"
                   "configs: {cfg: {content: x}}\n"),
        ::testing::ElementsAre(HasSubstr("4 services.a.depends_on[0]: depends on undefined"),
            HasSubstr("5 services.a.links[0]: refers to undefined"),
            HasSubstr("6 services.a.network_mode: refers to undefined"),
            HasSubstr("7 services.a.configs[0]: refers to undefined config cfgg, did you mean \"cfg\"?")));
}

TEST_F(mistakes_test, an_env_file_is_told_of_at_its_own_lines_once) {
    write("e.env", "A=1\nB C=2\nD E=3\n");
    EXPECT_THAT(in("services:\n"
                   "  a: {image: x, env_file: e.env, networks: [n]}\n"
                   "  b: {image: x, env_file: [e.env, gone.env]}\n"),
        ::testing::UnorderedElementsAre("2 : key cannot contain a space", "3 : key cannot contain a space",
            HasSubstr("2 services.a.networks[0]"),
            ::testing::AllOf(HasSubstr("3 services.b.env_file[1]: "), HasSubstr("gone.env: no such file"))));
}

TEST_F(mistakes_test, a_preparation_that_does_nothing_of_its_own_is_none) {
    EXPECT_THAT(in("services:\n  a:\n    image: x\n    pre_start: [{user: me}, {image: y}, {command: z}]\n"),
        ::testing::ElementsAre(HasSubstr("4 services.a.pre_start[0]: has neither a command nor an image")));
}

TEST_F(mistakes_test, a_number_that_no_program_holds_is_told) {
    for (const std::string value : {"9223372036854775808", "-9223372036854775809", "99999999999999999999"})
        EXPECT_THAT(in("services: {a: {image: x, cpu_quota: " + value + "}}\n"),
            ::testing::ElementsAre(HasSubstr("1 services.a.cpu_quota: " + value + " is not between")));
    for (const std::string key : {"cpus: 1e400", "priority: 1", "mem_limit: 1.5", "cpu_shares: '0x2'"})
        EXPECT_EQ(in("services: {a: {image: x, " + key + "}}\n").size(), 1U) << key;
}

TEST_F(mistakes_test, an_item_is_told_of_by_the_place_that_it_has_in_the_file) {
    EXPECT_THAT(in("services:\n  a:\n    image: x\n    volumes: ['v:/x', ':/y', 'w:/z']\n"),
        ::testing::ElementsAre(HasSubstr("4 services.a.volumes[0]: refers to undefined volume"),
            HasSubstr("4 services.a.volumes[1]: \":/y\": the source is empty"),
            HasSubstr("4 services.a.volumes[2]: refers to undefined volume w")));
    EXPECT_THAT(in("services:\n  a:\n    image: x\n    environment:\n      - A=1\n      - B: 2\n"),
        ::testing::ElementsAre(
            "6 services.a.environment[1]: must be NAME=VALUE, not a mapping; write B=2, or no "
            "dashes in all of the list"));
}

TEST_F(mistakes_test, a_path_is_what_the_file_has_at_the_place_that_is_told) {
    options.files = {"a.yaml", "compose.yaml"};
    write("a.yaml", "services:\n  a:\n    image: x\n    ports: ['80', '81']\n    networks: [m]\n"
                    "    build: {context: ., secrets: [r, s], additional_contexts: [q=service:q]}\n"
                    "    volumes: ['v:/x']\nnetworks: {m: }\nsecrets: {r: {environment: R}}\n");
    EXPECT_THAT(in("services:\n"
                   "  a:\n"
                   "    ports: ['90-92:90-92', {target: 1, host_ip: x}, {target: 2, host_ip: 1.2.3}]\n"
                   "    networks: [m, n]\n"
                   "    volumes: ['w:/y']\n"
                   "    env_file: [{path: none, required: false}, gone.env]\n"
                   "    label_file: lost.env\n"
                   "    extra_hosts: ['a=1.2.3.4', b]\n"
                   "    dns: 3\n"
                   "    depends_on: [p, p]\n"),
        ::testing::UnorderedElementsAre(HasSubstr("3 services.a.ports[1].host_ip: "),
            HasSubstr("3 services.a.ports[2].host_ip: "), HasSubstr("4 services.a.networks[1]: refers to"),
            HasSubstr("5 services.a.volumes[0]: refers to undefined volume w"),
            HasSubstr("6 services.a.env_file[1]: "), HasSubstr("7 services.a.label_file: "),
            "8 services.a.extra_hosts[1]: \"b\": write NAME=ADDRESS",
            HasSubstr("9 services.a.dns: must be a string"),
            "10 services.a.depends_on[1]: \"p\" is there twice",
            HasSubstr("6 services.a.build.secrets[1]: refers to undefined secret s"),
            HasSubstr("6 services.a.build.additional_contexts[0]: refers to undefined service q"),
            HasSubstr("7 services.a.volumes[0]: refers to undefined volume v")));
}

TEST_F(mistakes_test, a_base_that_has_no_name_is_told_once) {
    EXPECT_THAT(in("services:\n  a: {image: x, extends: {servce: b}}\n  b: {image: x}\n"),
        ::testing::ElementsAre("2 services.a.extends.servce: unknown key, did you mean \"service\"?"));
    EXPECT_THAT(in("services:\n  a: {image: x, extends: {file: b.yaml}}\n"),
        ::testing::ElementsAre(HasSubstr("2 services.a.extends: \"service\" is missing")));
}

TEST_F(mistakes_test, a_file_that_a_base_is_not_in_is_told_where_it_is_named) {
    EXPECT_THAT(in("services:\n  a:\n    image: x\n    extends:\n      service: b\n      file: gone.yaml\n"),
        ::testing::ElementsAre(HasSubstr("6 services.a.extends.file: ")));
}

TEST_F(mistakes_test, what_goes_on_for_ever_has_a_place) {
    const auto command = [](const std::string& text) {
        return "services:\n  a:\n    image: x\n    command: " + text + "\n";
    };
    EXPECT_THAT(in(command(std::string(3000, '[') + std::string(3000, ']'))),
        ::testing::ElementsAre(HasSubstr("4 : more than 1024 brackets are open")));
    const std::vector<std::string> broken = in(command("${A:-" + std::string(5000, 'x')));
    ASSERT_EQ(broken.size(), 1U);
    EXPECT_THAT(broken[0], StartsWith("4 services.a.command: invalid interpolation format \"${A:-xxx"));
    EXPECT_LT(broken[0].size(), 300U);
}

TEST_F(mistakes_test, a_file_that_include_names_is_blamed_where_it_does) {
    write("there.yaml", "services: {b: {image: x}}\n");
    EXPECT_THAT(in("include:\n"
                   "  - path:\n"
                   "      - there.yaml\n"
                   "      - gone.yaml\n"
                   "  - lost.yaml\n"
                   "  - path: there.yaml\n"
                   "    env_file: [there.yaml, missing.env]\n"
                   "services: {a: {image: x}}\n"),
        ::testing::Contains(HasSubstr("4 include[0].path[1]: ")));
    EXPECT_THAT(in("include:\n  - lost.yaml\n  - path: lost.yaml\nservices: {a: {image: x}}\n"),
        ::testing::ElementsAre(HasSubstr("2 include[0]: "), HasSubstr("3 include[1].path: ")));
    EXPECT_THAT(in("include:\n  - {path: there.yaml, env_file: [gone.env]}\nservices: {a: {image: x}}\n"),
        ::testing::ElementsAre(HasSubstr("2 include[0].env_file[0]: ")));
}

TEST_F(mistakes_test, ports_are_told_of_once_and_by_what_is_written) {
    const auto fault = [&](const std::string& port) {
        const std::vector<std::string> all =
            in("services:\n  a:\n    image: x\n    ports: ['" + port + "']\n");
        return all.size() == 1 ? all[0] : std::to_string(all.size());
    };
    EXPECT_THAT(fault("x"), StartsWith("4 services.a.ports[0]: \"x\" is no port; write"));
    EXPECT_THAT(fault("80:x"), HasSubstr(": \"80:x\": \"x\" is no port; write"));
    EXPECT_THAT(fault("80:"), HasSubstr(": \"80:\" lacks a port; write"));
    EXPECT_THAT(fault("80:80:80:80"), HasSubstr(": \"80:80:80:80\" has more than three parts; write"));
    EXPECT_THAT(fault("80/tcp/udp"), HasSubstr(": \"80/tcp/udp\" has two protocols"));
}

TEST_F(mistakes_test, what_is_no_value_of_its_tag_and_no_value_at_all) {
    EXPECT_THAT(
        in("services:\n  a: {image: x}\nx-a: !!bool yes\nx-b: !!int 1.5\nx-c: !!int '1'\nx-d: !!null x\n"),
        ::testing::ElementsAre(
            "3 x-a: \"yes\" is no !!bool", "4 x-b: \"1.5\" is no !!int", "6 x-d: \"x\" is no !!null"));
    EXPECT_THAT(in("services:\n  a: {image: x}\nx-a: [a, , b]\n"),
        ::testing::ElementsAre("3 x-a[1]: there is nothing before this comma"));
    EXPECT_THAT(in("services:\n  a: {image: x}\nx-a: [~, '', a, ]\nx-b:\n- \n- a\n"), ::testing::IsEmpty());
    EXPECT_THAT(in("services:\n  a: {image: x}\nsecrets: {s: {environment: ''}}\n"),
        ::testing::ElementsAre("3 secrets.s.environment: is empty; it is the name of a variable"));
}

TEST_F(mistakes_test, base64_that_is_none) {
    EXPECT_THAT(in("services:\n  a: {image: !!binary aGk=, user: !!binary aGk}\n"),
        ::testing::ElementsAre(HasSubstr("2 services.a.user: !!binary takes base64")));
    EXPECT_THAT(in("services:\n  a: {image: !!binary /w==}\n"),
        ::testing::ElementsAre(HasSubstr("2 services.a.image: what !!binary stands for here is no text")));
}

TEST_F(mistakes_test, an_item_of_one_file_hides_none_of_another) {
    options.files = {"a.yaml", "compose.yaml"};
    write("a.yaml", "services: {a: {image: x, volumes: [':/y']}}\n");
    EXPECT_THAT(in("services:\n  a:\n    volumes: ['w:/z']\n"),
        ::testing::ElementsAre(HasSubstr("1 services.a.volumes[0]: \":/y\""),
            HasSubstr("3 services.a.volumes[0]: refers to undefined volume w")));
}

TEST_F(mistakes_test, a_word_that_a_value_cannot_be_is_told_with_all_that_it_can_and_the_nearest) {
    EXPECT_THAT(in("services:\n"
                   "  a:\n"
                   "    image: x\n"
                   "    restart: allways\n"
                   "    pull_policy: Mising\n"
                   "    depends_on: {b: {condition: healthy}}\n"
                   "    privileged: ture\n"
                   "    ports: ['80:80/tpc']\n"
                   "    volumes: [{type: bnd, target: /x}]\n"
                   "    cgroup: q\n"
                   "  b: {image: x}\n"),
        ::testing::ElementsAre(AllOf(HasSubstr("4 services.a.restart: \"allways\" is not one of no, always"),
                                   EndsWith("did you mean \"always\"?")),
            EndsWith("did you mean \"missing\"?"), EndsWith("did you mean \"service_healthy\"?"),
            EndsWith("is not true or false, did you mean \"true\"?"),
            EndsWith("is not tcp, udp or sctp, did you mean \"tcp\"?"), EndsWith("did you mean \"bind\"?"),
            EndsWith("\"q\" is not one of host, private")));
}

TEST_F(mistakes_test, a_file_of_the_first_format_is_told_where_services_stand) {
    EXPECT_THAT(in("web:\n  image: x\n"),
        ::testing::ElementsAre("1 web: unknown key; services stand below \"services:\""));
}

TEST_F(mistakes_test, what_a_missing_file_would_have_brought_is_not_missed_too) {
    EXPECT_THAT(in("include: [nope.yaml]\nservices: {a: {image: x, depends_on: [b]}}\n"),
        ::testing::ElementsAre(HasSubstr("include[0]")));
}

TEST_F(mistakes_test, keys_and_tags_are_told_of_all_together) {
    EXPECT_THAT(in("services:\n  a:\n    image: x\n    image: y\n    labels: {1: x, 2: y}\n    command: "
                   "!rest x\n  a: {image: z}\n"),
        ::testing::ElementsAre("4 services.a.image: the key is there twice",
            HasSubstr("5 services.a.labels: a key must be a string; quote it: \"1\""),
            HasSubstr("5 services.a.labels: a key must be a string; quote it: \"2\""),
            HasSubstr("6 services.a.command: unknown tag !rest"), "7 services.a: the key is there twice"));
}

TEST_F(mistakes_test, a_file_of_another_host_is_told_to_be_one) {
    EXPECT_THAT(in("include: ['https://example.org/x.git']\nservices: {a: {image: x}}\n"),
        ::testing::ElementsAre(HasSubstr("files of other hosts are not read; fetch it")));
}

TEST_F(mistakes_test, a_variable_of_an_env_file_that_is_not_set_is_warned_of_once) {
    write("e.env", "A=$NOPE\nB=${NOPE}${GONE}\n");
    write(".env", "C=$NONE\n");
    write("compose.yaml",
        "services:\n  a: {image: 'x$NONE', env_file: e.env, label_file: e.env}\n  b: {image: y, env_file: "
        "e.env}\n");
    const auto warning = [](const std::string& name) {
        return "The \"" + name + "\" variable is not set. Defaulting to a blank string.";
    };
    EXPECT_THAT(
        load(options).warnings, ::testing::ElementsAre(warning("NONE"), warning("NOPE"), warning("GONE")));
}

TEST_F(mistakes_test, old_forms_and_what_has_no_effect_are_told) {
    write("compose.yaml", "services: {a: {image: x, networks: [n], pull_refresh_after: 1d}}\n"
                          "networks: {n: {external: {name: q}}}\n");
    const loaded read = load(options);
    EXPECT_THAT(read.warnings, ::testing::ElementsAre(HasSubstr("networks.n: external.name is deprecated")));
    EXPECT_THAT(read.ignored, ::testing::ElementsAre("services.a.pull_refresh_after"));
}

TEST_F(mistakes_test, of_limits_and_privileges_what_means_nothing_is_told) {
    write("compose.yaml",
        "services:\n"
        "  a: {image: x, cpus: -1, cpuset: 1-0, ulimits: {nofile: -5, core: -1}, devices: "
        "['/dev/null:relative']}\n"
        "  b: {image: x, deploy: {resources: {limits: {cpus: '-0.5'}}}, cpuset: ',0', uts: host, domainname: "
        "y}\n"
        "  c: {image: x, domainname: y, sysctls: [net.core.somaxconn, kernel.hostname=x, "
        "kernel.domainname=x]}\n"
        "  d: {image: x, cpuset: '0-2,4', sysctls: {kernel.domainname: x}, ulimits: {nofile: -1}}\n");
    const std::vector<std::string> told = paths_that_the_check_tells();
    EXPECT_THAT(
        told, ::testing::UnorderedElementsAre("services.a.cpus", "services.a.cpuset",
                  "services.a.ulimits.nofile", "services.a.devices[0]", "services.b.cpus",
                  "services.b.cpuset", "services.b.domainname", "services.c.sysctls.net.core.somaxconn",
                  "services.c.sysctls.kernel.hostname", "services.c.sysctls.kernel.domainname"));
}

TEST_F(mistakes_test, a_limit_is_told_where_it_was_said) {
    write("compose.yaml", "services:\n"
                          "  a:\n"
                          "    image: x\n"
                          "    deploy:\n"
                          "      resources:\n"
                          "        limits: {cpus: '-1', memory: 1k}\n"
                          "        reservations:\n"
                          "          memory: 2k\n"
                          "  b: {image: x, cpus: -1, pids_limit: -7}\n");
    const loaded read = load(options);
    std::vector<std::string> told;
    try {
        check_supported(read);
    } catch (const load_error& failure) {
        for (const diagnostic& each : failure.diagnostics())
            told.push_back(std::to_string(each.at.line) + " " + each.path);
    }
    EXPECT_THAT(told, ::testing::UnorderedElementsAre("6 services.a.deploy.resources.limits.cpus",
                          "6 services.a.deploy.resources.limits.memory",
                          "8 services.a.deploy.resources.reservations.memory",
                          "8 services.a.deploy.resources.reservations.memory", "9 services.b.cpus",
                          "9 services.b.pids_limit"));
}

TEST_F(mistakes_test, what_has_no_effect_on_one_host_is_told) {
    write("compose.yaml", "services:\n"
                          "  a: {image: x, privileged: true, cap_drop: [ALL], deploy: {resources: "
                          "{reservations: {cpus: '1', memory: 9m, "
                          "generic_resources: [{discrete_resource_spec: {kind: gpu, value: 1}}]}}}}\n");
    const loaded read = load(options);
    EXPECT_THAT(read.ignored, ::testing::ElementsAre("services.a.deploy.resources.reservations.cpus",
                                  "services.a.deploy.resources.reservations.generic_resources"));
    EXPECT_THAT(check_supported(read),
        ::testing::ElementsAre(HasSubstr("services.a.cap_drop: has no effect with privileged: true")));
}

TEST_F(mistakes_test, of_the_life_cycle_what_means_nothing_is_told) {
    write("compose.yaml", "x-composed: {restart-unhealthy: 'true', schedule: x}\n"
                          "services:\n"
                          "  a:\n"
                          "    image: x\n"
                          "    post_start: [{command: []}, {command: ok}]\n"
                          "    pre_stop: [{command: ''}]\n"
                          "    healthcheck: {test: x, interval: -5s, timeout: 1us, start_period: 0s}\n"
                          "    deploy: {restart_policy: {delay: -1s, window: -1s}}\n"
                          "    x-composed: {schedul: 0 3 * * *, restart-unhealthy: maybe}\n"
                          "  b: {image: x, x-composed: 3}\n"
                          "  c: {image: x, x-composed: {restart-unhealthy: true}}\n");
    const std::vector<std::string> told = paths_that_the_check_tells();
    EXPECT_THAT(told,
        ::testing::UnorderedElementsAre("services.a.post_start[0].command", "services.a.pre_stop[0].command",
            "services.a.healthcheck.interval", "services.a.healthcheck.timeout",
            "services.a.deploy.restart_policy.delay", "services.a.deploy.restart_policy.window",
            "services.a.x-composed.schedul", "services.a.x-composed.restart-unhealthy",
            "services.b.x-composed", "x-composed.restart-unhealthy", "x-composed.schedule"));
    EXPECT_THAT(in("services: {a: {image: x, deploy: {update_config: {parallelism: -1}, "
                   "restart_policy: {max_attempts: -1}}}}\n"),
        ::testing::UnorderedElementsAre(
            HasSubstr("parallelism: -1 is negative"), HasSubstr("max_attempts: -1 is negative")));
}

TEST_F(mistakes_test, what_no_service_uses_is_there_when_it_is_asked_for) {
    write("compose.yaml", "services: {a: {image: x}}\nnetworks: {n: }\nvolumes: {v: }\n");
    EXPECT_TRUE(load(options).project.volumes.empty());
    options.all_resources = true;
    const project all = load(options).project;
    EXPECT_TRUE(all.volumes.contains("v"));
    EXPECT_TRUE(all.networks.contains("n"));
}

TEST_F(mistakes_test, standard_input_is_read_where_a_variable_asks_for_it) {
    options.environment["COMPOSE_FILE"] = "-";
    options.standard_input = [] { return std::string("services: {a: {image: x}}\n"); };
    EXPECT_EQ(load(options).project.services.at("a").image, "x");
}

} // namespace
} // namespace compose
