#include "engine/image/auth_challenge.hpp"

#include <gtest/gtest.h>

namespace engine {
namespace {

TEST(auth_challenge, takes_the_parts_of_a_bearer_challenge) {
    const auto challenge = parse_challenge(
        R"(Bearer realm="https://auth.example/token",service="registry, \"one\"",scope="repository:a/b:pull")");
    ASSERT_TRUE(challenge);
    EXPECT_EQ(challenge->realm, "https://auth.example/token");
    EXPECT_EQ(challenge->service, "registry, \"one\"");
    EXPECT_EQ(challenge->scope, "repository:a/b:pull");
}

TEST(auth_challenge, case_order_and_unknown_parts_do_not_matter) {
    const auto challenge = parse_challenge("bearer error=\"x\", SERVICE=s ,Realm=\"https://a\"");
    ASSERT_TRUE(challenge);
    EXPECT_EQ(challenge->realm, "https://a");
    EXPECT_EQ(challenge->service, "s");
}

TEST(auth_challenge, is_none_for_other_schemes_and_broken_text) {
    for (const char* text : {"", "Basic realm=\"x\"", "Bearer", "Bearer ", "Bearer realm", "Bearer realm=\"x",
             "Bearer service=\"x\"", "Bearer realm=\"x\\"})
        EXPECT_FALSE(parse_challenge(text)) << text;
}

} // namespace
} // namespace engine
