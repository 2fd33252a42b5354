#include "engine/project/pull_policy.hpp"

#include <gtest/gtest.h>

namespace engine {
namespace {

using namespace std::chrono_literals;

TEST(pull_policy, counts_from_when_the_image_came) {
    const auto now = std::chrono::system_clock::now();
    const auto again = [&](const char* policy, std::chrono::seconds ago) {
        return !why_pull_again(policy, now - ago, now).empty();
    };
    EXPECT_TRUE(again("always", 0s));
    EXPECT_TRUE(again("refresh", 0s));
    for (const char* never : {"", "missing", "never", "if_not_present", "build"})
        EXPECT_FALSE(again(never, 10'000h));
    EXPECT_FALSE(again("daily", 23h));
    EXPECT_TRUE(again("daily", 24h));
    EXPECT_FALSE(again("weekly", 6 * 24h));
    EXPECT_TRUE(again("weekly", 7 * 24h));
    EXPECT_FALSE(again("every_1d12h", 35h));
    EXPECT_TRUE(again("every_1d12h", 36h));
    EXPECT_TRUE(again("every_90s", 90s));
    EXPECT_TRUE(again("every_2w", 14 * 24h));
    EXPECT_FALSE(again("every_2w", 13 * 24h));
    EXPECT_FALSE(why_pull_again("daily", std::nullopt, now).empty());
}

} // namespace
} // namespace engine
