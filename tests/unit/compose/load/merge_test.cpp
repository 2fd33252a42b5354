#include "compose/load/merge.hpp"

#include "compose/load/project_files.hpp"
#include "compose/load/schema.hpp"
#include "compose/load/short_syntax.hpp"
#include "compose/load/yaml.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using compose::node;

node read(const std::string& service, bool variables_stay) {
    node tree = compose::parse_yaml("services: {a: " + service + "}", "compose.yaml").front();
    std::vector<compose::diagnostic> wrong;
    std::vector<std::string> warnings;
    compose::conform(tree, compose::project_schema, {}, wrong, warnings, variables_stay);
    EXPECT_TRUE(wrong.empty());
    return tree;
}

/// The value of a key of the service once the second lies over the first.
node merged(const std::string& first, const std::string& second, const char* key, bool variables_stay) {
    node whole = compose::merge(
        read(first, variables_stay), read(second, variables_stay), compose::project_schema, variables_stay);
    compose::drop_resets(whole);
    return *whole.find("services")->find("a")->find(key);
}

std::vector<std::string> texts(const node& list) {
    std::vector<std::string> all;
    for (const node& item : list.items)
        all.push_back(item.text);
    return all;
}

using strings = std::vector<std::string>;

} // namespace

TEST(merge, variables_become_one_mapping) {
    const node made = merged("{environment: [B=1, A=2]}", "{environment: {B: 3, C: }}", "environment", false);
    ASSERT_TRUE(made.is_map());
    EXPECT_EQ(made.text_at("B"), "3");
    EXPECT_EQ(made.entries.size(), 3U);
}

TEST(merge, where_variables_stay_they_become_a_list_sorted_where_it_was_a_mapping) {
    EXPECT_EQ(
        texts(merged("{environment: {B: 1, A: 2}}", "{environment: ['B=${X}', C]}", "environment", true)),
        (strings{"A=2", "B=${X}", "C"}));
    EXPECT_EQ(texts(merged("{labels: [z=1, y=1]}", "{labels: {y: 2, b: }}", "labels", true)),
        (strings{"z=1", "y=2", "b"}));
    EXPECT_EQ(texts(merged("{extra_hosts: {a: 1.1.1.1}}", "{extra_hosts: ['a=1.1.1.1', 'a=1.1.1.2']}",
                  "extra_hosts", true)),
        (strings{"a=1.1.1.1", "a=1.1.1.2"}));
}

TEST(merge, a_reset_item_of_a_list_is_not_there) {
    EXPECT_EQ(texts(merged("{cap_add: [A, B]}", "{cap_add: [!reset A, C]}", "cap_add", false)),
        (strings{"A", "B", "C"}));
}

TEST(merge, a_single_option_of_a_provider_is_replaced_and_a_list_is_added_to) {
    const auto options = [](const std::string& value) {
        return "{provider: {type: p, options: {k: " + value + "}}}";
    };
    const auto merged_options = [&](const std::string& first, const std::string& second) {
        const node made = merged(options(first), options(second), "provider", false);
        return texts(*made.find("options")->find("k"));
    };
    EXPECT_EQ(merged_options("one", "two"), strings{"two"});
    EXPECT_EQ(merged_options("[one]", "[two]"), (strings{"one", "two"}));
}

TEST(key_index, finds_what_the_map_has) {
    const node tree = compose::parse_yaml("{a: 1, b.c: 2}", "compose.yaml").front();
    const compose::key_index keys(&tree);
    EXPECT_EQ(keys.find("b.c")->text, "2");
    EXPECT_EQ(keys.find("b"), nullptr);
    EXPECT_EQ(compose::key_index(nullptr).find("a"), nullptr);
}

TEST(split_outside_braces, leaves_expressions_whole) {
    EXPECT_EQ(
        compose::split_outside_braces("${A:-${B:-/x}}:/y:ro", ':'), (strings{"${A:-${B:-/x}}", "/y", "ro"}));
    EXPECT_EQ(compose::split_outside_braces("a:", ':'), (strings{"a", ""}));
}

TEST(split_names, keeps_empty_ones) {
    EXPECT_EQ(compose::split_names("a::b", ":"), (strings{"a", "", "b"}));
    EXPECT_EQ(compose::split_names("a,", ","), (strings{"a", ""}));
    EXPECT_EQ(compose::split_names("", ","), strings{});
}
