#include "engine/shim/log_forwarder.hpp"

#include <gmock/gmock.h>

namespace engine {
namespace {

constexpr std::int64_t moment = 1'700'000'000'123'456'789; // 2023-11-14T22:13:20Z

shim_log_target target_of(std::int64_t kind) {
    return {.kind = kind, .facility = 3, .host_name = "here", .tag = "web", .fields = "CONTAINER_NAME=web\n"};
}

TEST(forwarded_message, the_journal_gets_fields_and_the_length_of_the_message) {
    const std::string size("\x03\0\0\0\0\0\0\0", 8);
    EXPECT_EQ(forwarded_message(target_of(1), true, "a=b", false, moment, 7),
        "CONTAINER_NAME=web\nPRIORITY=3\nMESSAGE\n" + size + "a=b\n");
    EXPECT_THAT(forwarded_message(target_of(1), false, "a=b", true, moment, 7),
        testing::HasSubstr("PRIORITY=6\nCONTAINER_PARTIAL_MESSAGE=true\nMESSAGE\n"));
}

TEST(forwarded_message, syslog_has_each_format) {
    EXPECT_THAT(forwarded_message(target_of(2), false, "hello", false, moment, 7),
        testing::MatchesRegex("<30>Nov 1[45] ..:..:20 web.7.: hello"));
    EXPECT_THAT(forwarded_message(target_of(3), true, "hello", false, moment, 7),
        testing::MatchesRegex("<27>Nov 1[45] ..:..:20 here web.7.: hello"));
    EXPECT_EQ(forwarded_message(target_of(4), false, "hello", false, moment, 7),
        "<30>1 2023-11-14T22:13:20Z here web 7 web - hello");
    EXPECT_EQ(forwarded_message(target_of(5), false, "hello", false, moment, 7),
        "<30>1 2023-11-14T22:13:20.123456Z here web 7 web - hello");
}

} // namespace
} // namespace engine
