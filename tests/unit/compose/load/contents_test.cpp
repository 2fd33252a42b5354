#include "compose/load/contents.hpp"

#include "compose/encode/base64.hpp"
#include "compose/encode/encode.hpp"
#include "compose/load/loader.hpp"
#include "compose/model/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace compose {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

project with_secret(std::string content) {
    project made;
    made.name = "p";
    made.services["a"] = {.name = "a", .image = "i", .secrets = {{.source = "s", .mode = 0440}}};
    made.secrets["s"] = {.name = "p_s", .file = "/f", .content = binary{std::move(content)}};
    return made;
}

TEST(contents, of_all_bytes_survive_the_wire_form) {
    std::string all;
    for (int byte = 0; byte < 256; ++byte) {
        all += static_cast<char>(byte);
        const project sent = with_secret(all);
        EXPECT_EQ(from_wire(to_wire(sent)), sent);
    }
    EXPECT_EQ(from_wire(to_wire(with_secret(""))), with_secret(""));
}

TEST(contents, that_are_no_base64_are_refused_without_being_shown) {
    for (const std::string bad : {"a", "ab=c", "ab==cd==", " aaa", "aaa ", "a===", "aa\\naa", "=", "????"}) {
        EXPECT_EQ(from_base64(bad), std::nullopt) << bad;
        try {
            from_wire(R"({"name": "p", "secrets": {"s": {"content": ")" + bad + R"("}}})");
            ADD_FAILURE() << bad;
        } catch (const error& failure) {
            EXPECT_STREQ(failure.what(), "project definition: secrets.s.content: is not base64");
        }
    }
    EXPECT_EQ(from_base64("YQ=="), "a");
    EXPECT_EQ(from_base64(""), "");
}

TEST(contents, of_another_digest_make_a_container_anew_and_say_which) {
    const service before = with_secret("x").services.at("a");
    service after = before;
    EXPECT_THAT(container_changes(before, after), IsEmpty());
    after.secrets[0].digest = "d";
    after.configs.push_back({.source = "c"});
    EXPECT_NE(service_hash(before), service_hash(after));
    EXPECT_THAT(container_changes(before, after), ElementsAre("config c", "secret s"));
}

TEST(contents, come_from_variables_and_are_named_where_they_cannot) {
    project of = with_secret("");
    of.secrets["s"] = {.environment = "V"};
    read_contents(of, {{"V", "value"}});
    EXPECT_EQ(of.secrets["s"].content, binary{"value"});
    try {
        read_contents(of, {});
        ADD_FAILURE();
    } catch (const error& failure) {
        EXPECT_THAT(failure.what(), HasSubstr("secret \"s\": environment variable \"V\" is not set"));
    }
    read_contents(of, {{"V", std::string(most_content, 'x')}});
    EXPECT_THROW(read_contents(of, {{"V", std::string(most_content + 1, 'x')}}), error);
    of.services["a"].secrets.clear(); // nobody uses it
    read_contents(of, {});
}

TEST(contents, of_a_request_cannot_be_files_or_variables_of_the_host) {
    for (const std::string source : {"{file: /etc/shadow}", "{environment: HOME}"}) {
        try {
            load_text("services: {a: {image: i, secrets: [s]}}\nsecrets: {s: " + source + "}\n", "p");
            ADD_FAILURE() << source;
        } catch (const std::exception& failure) {
            EXPECT_THAT(failure.what(), HasSubstr("a request cannot name files or variables of the host"));
        }
    }
    const project of =
        load_text("services: {a: {image: i, configs: [c]}}\nconfigs: {c: {content: hello}}\n", "p");
    EXPECT_EQ(of.configs.at("c").content, binary{"hello"});
}

} // namespace
} // namespace compose
