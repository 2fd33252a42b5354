#include "engine/network/attachment.hpp"
#include "engine/network/name_index.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

attachment with(const std::string& container, ipv4_address address, std::vector<std::string> aliases) {
    attachment made{.container = container, .endpoints = {}};
    for (const char* network : {"front", "back"})
        made.endpoints.push_back({.network = network, .ipv4 = address, .aliases = aliases});
    return made;
}

TEST(name_index, finds_each_once_by_an_alias_and_by_what_may_be_an_alias_and_a_network) {
    const attachment web = with("w", {1}, {"p-web-1", "web", "web.front"});
    const attachment other = with("o", {2}, {"p-web-2", "web"});
    name_index index;
    index.add(web);
    index.add(other);
    EXPECT_THAT(index.called("web"), UnorderedElementsAre(&web, &other));
    EXPECT_THAT(index.called("web.front"), UnorderedElementsAre(&web, &other));
    EXPECT_THAT(index.called("p-web-1"), ElementsAre(&web));
    EXPECT_THAT(index.called("we"), IsEmpty());
    EXPECT_THAT(index.called("front"), IsEmpty());
    EXPECT_THAT(index.called(""), IsEmpty());
}

TEST(name_index, finds_by_an_address_of_either_family) {
    attachment web = with("w", {1}, {"web"});
    web.endpoints[1].ipv6 = parse_ipv6("fd00::2");
    name_index index;
    index.add(web);
    EXPECT_THAT(index.at(ipv4_address{1}), ElementsAre(&web));
    EXPECT_THAT(index.at(parse_ipv6("fd00::2").value()), ElementsAre(&web));
    EXPECT_THAT(index.at(ipv4_address{2}), IsEmpty());
}

TEST(name_index, forgets_the_one_that_goes_and_keeps_its_namesakes) {
    const attachment web = with("w", {1}, {"web"});
    const attachment other = with("o", {1}, {"web"});
    name_index index;
    index.add(web);
    index.add(other);
    index.remove(web);
    EXPECT_THAT(index.called("web"), ElementsAre(&other));
    EXPECT_THAT(index.at(ipv4_address{1}), ElementsAre(&other));
}

} // namespace
} // namespace engine
