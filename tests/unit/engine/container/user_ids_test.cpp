#include "engine/container/user_ids.hpp"

#include "compose/model/error.hpp"

#include <gmock/gmock.h>

#include <string>

namespace engine {
namespace {

std::string refused(std::string_view text, std::string_view subuid = "", std::string_view subgid = "") {
    try {
        parse_user_ids(text, subuid, subgid);
    } catch (const compose::error& caught) {
        return caught.what();
    }
    return "accepted";
}

TEST(user_ids, are_written_out_or_those_of_a_user) {
    constexpr user_id_range expected{.first = 200'000, .count = 65'536};
    EXPECT_EQ(parse_user_ids("200000:65536", "", ""), expected);
    constexpr std::string_view file = "remapper:1:1\nremap:200000:65536\nremap:900000:65536\n";
    EXPECT_EQ(parse_user_ids("remap", file, file), expected);
    EXPECT_EQ(parse_user_ids("remap", "remap:200000:65536", "remap:200000:65536"), expected);
}

TEST(user_ids, what_is_wrong_is_said_with_what_to_write) {
    EXPECT_THAT(refused("remap"), ::testing::HasSubstr("add the line remap:100000:65536 to /etc/subuid"));
    EXPECT_THAT(refused("remap", "remap:100000:65536", "remap:200000:65536"),
        ::testing::HasSubstr("has 100000:65536 in /etc/subuid and 200000:65536 in /etc/subgid"));
    for (const char* wrong : {"", ":", "a:b", "1:2:3", "-1:65536", "100000:", "100000:x"})
        EXPECT_THAT(refused(wrong), ::testing::HasSubstr("is neither a user's name nor FIRST:COUNT"))
            << wrong;
    for (const char* narrow : {"0:65536", "65535:65536", "100000:65535", "4294901760:65536"})
        EXPECT_THAT(refused(narrow), ::testing::HasSubstr("must begin at 65536 or above")) << narrow;
}

} // namespace
} // namespace engine
