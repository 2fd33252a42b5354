#include "compose/load/loader.hpp"
#include "compose/load/yaml.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace compose {
namespace {

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
            HasSubstr("4 services.a.depends_on.nope: depends on undefined"),
            HasSubstr("5 services.a.volumes[0]: refers to undefined volume"),
            HasSubstr("6 services.a.secrets[0]: refers to undefined secret"),
            HasSubstr("7 services.a.healthcheck.interval:"),
            HasSubstr("9 services.b.image: must be a string"),
            HasSubstr("10 services.b.depends_on.a.condition:"),
            HasSubstr("10 services.b.depends_on.c: depends on undefined"),
            HasSubstr("11 services.b.networks.m: refers to undefined network"),
            HasSubstr("12 networks.n: must be a mapping")));
}

TEST_F(mistakes_test, an_item_is_told_of_by_the_place_that_it_has_in_the_file) {
    EXPECT_THAT(in("services:\n  a:\n    image: x\n    volumes: ['v:/x', ':/y', 'w:/z']\n"),
        ::testing::ElementsAre(HasSubstr("4 services.a.volumes[0]: refers to undefined volume"),
            HasSubstr("4 services.a.volumes[1]: \":/y\": the source is empty")));
    EXPECT_THAT(in("services:\n  a:\n    image: x\n    environment:\n      - A=1\n      - B: 2\n"),
        ::testing::ElementsAre(
            "6 services.a.environment[1]: must be NAME=VALUE, not a mapping; write B=2, or no "
            "dashes in all of the list"));
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

TEST_F(mistakes_test, standard_input_is_read_where_a_variable_asks_for_it) {
    options.environment["COMPOSE_FILE"] = "-";
    options.standard_input = [] { return std::string("services: {a: {image: x}}\n"); };
    EXPECT_EQ(load(options).project.services.at("a").image, "x");
}

} // namespace
} // namespace compose
