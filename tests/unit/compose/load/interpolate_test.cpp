#include "compose/load/interpolate.hpp"

#include "compose/load/dotenv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace compose {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::map<std::string, std::string> variables{{"V", "value"}, {"EMPTY", ""}, {"N", "V"}};

std::optional<std::string> lookup(const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
}

std::string put(std::string_view text) {
    std::vector<std::string> unset;
    return interpolate(text, lookup, unset);
}

std::string failure_of(std::string_view text) {
    try {
        put(text);
    } catch (const error& failure) {
        return failure.what();
    }
    return {};
}

TEST(interpolate, every_operator_on_unset_empty_and_set) {
    const std::pair<std::string_view, std::string_view> table[]{{"$V", "value"}, {"${V}", "value"},
        {"a${V}b", "avalueb"}, {"${X:-d}", "d"}, {"${EMPTY:-d}", "d"}, {"${V:-d}", "value"}, {"${X-d}", "d"},
        {"${EMPTY-d}", ""}, {"${V-d}", "value"}, {"${X:+a}", ""}, {"${EMPTY:+a}", ""}, {"${V:+a}", "a"},
        {"${X+a}", ""}, {"${EMPTY+a}", "a"}, {"${V+a}", "a"}, {"${V:?e}", "value"}, {"${EMPTY?e}", ""},
        {"$$V", "$V"}, {"$1 $ $}", "$1 $ $}"}, {"${X:-${Y:-${V}}}", "value"},
        {R"(${X:-{"a":{}}})", R"({"a":{}})"}, {"${V-x?y}", "value"}, {"${X-}", ""}};
    for (const auto& [text, expected] : table)
        EXPECT_EQ(put(text), expected) << text;
}

TEST(interpolate, what_is_required_and_missing_is_named) {
    EXPECT_THAT(failure_of("${X:?set it}"), HasSubstr("required variable X is missing a value: set it"));
    EXPECT_THAT(failure_of("${EMPTY:?set it}"), HasSubstr("EMPTY"));
    EXPECT_THAT(failure_of("${X?}"), HasSubstr("X"));
}

TEST(interpolate, a_broken_expression_is_an_error) {
    for (const char* text : {"${", "${}", "${ V}", "${V }", "${V!}", "${V/a/b}", "${V", "${V:}"})
        EXPECT_THAT(failure_of(text), HasSubstr("invalid interpolation format")) << text;
}

TEST(interpolate, only_what_is_needed_is_looked_up) {
    std::vector<std::string> unset;
    interpolate("${V:-$NOT_NEEDED} $MISSING", lookup, unset);
    EXPECT_THAT(unset, ElementsAre("MISSING"));
}

TEST(interpolate, nesting_has_an_end) {
    std::string text = "x";
    for (int level = 0; level < 1000; ++level)
        text = "${X:-" + text + "}";
    EXPECT_THAT(failure_of(text), HasSubstr("too deep"));
}

TEST(dotenv, quotes_comments_escapes_and_expansion) {
    const auto entries = parse_dotenv(
        "\xef\xbb\xbf# comment\r\nA=1\r\nexport B = two words # comment\nC='$A \\n'\nD=\"$A\\n\\$A\"\n"
        "E=\nF\nG: x\nH=\"line1\nline2\"\nI=a#b\nJ=${A}-${V}\n",
        "env", lookup);
    const dotenv_entries expected{{"A", "1"}, {"B", "two words"}, {"C", "$A \\n"}, {"D", "1\n$A"}, {"E", ""},
        {"F", std::nullopt}, {"G", "x"}, {"H", "line1\nline2"}, {"I", "a#b"}, {"J", "1-value"}};
    EXPECT_EQ(entries, expected);
}

TEST(dotenv, mistakes_have_their_line) {
    const auto message = [](std::string_view text) {
        try {
            parse_dotenv(text, "f.env", lookup);
        } catch (const error& failure) {
            return std::string(failure.what());
        }
        return std::string();
    };
    EXPECT_EQ(message("A=1\n B C=2\nD=1\n=x\nE=${\nF=\"y\nz"),
        "f.env:2:4: key cannot contain a space\n"
        "f.env:4:1: a line begins with a name, like NAME=value\n"
        "f.env:5:3: invalid interpolation format \"${\"; you may need to escape any $ with another $\n"
        "f.env:6:3: unterminated quoted value");
    EXPECT_EQ(message("A=1\nB=\xff\n"), "f.env:2:3: the byte 0xff is no UTF-8");
    std::string many;
    for (int line = 0; line < 1000; ++line)
        many += "A B=1\n";
    EXPECT_LT(message(many).size(), 10'000U);
}

TEST(dotenv, what_is_not_set_is_told) {
    std::vector<std::string> unset;
    parse_dotenv("A=$NOPE\nB=${A}${OTHER:-x}\nC=${GONE}\n", "f.env", lookup, {}, &unset);
    EXPECT_EQ(unset, (std::vector<std::string>{"NOPE", "GONE"}));
}

TEST(dotenv, a_comment_follows_a_space) {
    const dotenv_entries expected{{"A", "x\t#y"}, {"B", "x"}, {"C", "#y"}};
    EXPECT_EQ(parse_dotenv("A=x\t#y\nB=x\t #y\nC=\t#y\n", "f", lookup), expected);
}

TEST(dotenv, raw_lines_are_taken_as_they_are) {
    const dotenv_entries expected{{"A", "'$V' # x"}, {"B", std::nullopt}};
    EXPECT_EQ(parse_dotenv_raw("# c\nA='$V' # x\nB\n", "f"), expected);
    try {
        parse_dotenv_raw("A=1\nB C=2\n =3\n", "f");
        FAIL();
    } catch (const load_error& failure) {
        EXPECT_STREQ(failure.what(), "f:2:1: \"B C\" is no variable name\nf:3:2: \"\" is no variable name");
    }
}

} // namespace
} // namespace compose
