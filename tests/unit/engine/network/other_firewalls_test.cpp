#include "engine/network/other_firewalls.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace engine {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view name = "composed:here";

/// What `nft -j -a list chain` prints of a chain on the forward hook.
std::string chain(
    const std::string& policy, const std::vector<std::string>& rules, const std::string& table = "filter") {
    std::string text = fmt::format(
        R"({{"nftables": [{{"metainfo": {{}}}}, {{"chain": {{"family": "ip", "table": "{}", "name": "FORWARD",
           "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "{}"}}}})",
        table, policy);
    int handle = 10;
    for (const std::string& rule : rules)
        text += fmt::format(
            R"(, {{"rule": {{"family": "ip", "table": "{}", "handle": {}, {}}}}})", table, handle++, rule);
    return text + "]}";
}

/// What `nft -j list chains` prints of the names.
std::string chains(const std::vector<std::string>& names, const std::string& table = "filter") {
    std::string text = R"({"nftables": [{"metainfo": {}})";
    for (const std::string& each : names)
        text += fmt::format(R"(, {{"chain": {{"family": "ip", "table": "{}", "name": "{}"}}}})", table, each);
    return text + "]}";
}

std::string jump(const std::string& target) {
    return fmt::format(R"("expr": [{{"counter": {{}}}}, {{"jump": {{"target": "{}"}}}}])", target);
}

std::string commented(const std::string& comment) {
    return fmt::format(R"("comment": "{}", "expr": [{{"accept": null}}])", comment);
}

const std::string reject_all = R"("expr": [{"counter": {}}, {"reject": {"type": "icmp"}}])";
const std::string drop_some = R"("expr": [{"match": {"op": "=="}}, {"drop": null}])";

std::string passage_of(const std::string& listed, const std::string& all) {
    return passage(read_chain(listed, all, name), name);
}

TEST(other_firewalls, what_lets_through_is_left_alone) {
    EXPECT_EQ(passage_of(chain("accept", {drop_some}), chains({"FORWARD"})), "");
    EXPECT_EQ(passage_of(chain("accept", {reject_all, drop_some}), chains({"FORWARD"})), "");
}

TEST(other_firewalls, behind_the_rules_of_an_administrator_whose_policy_drops) {
    const std::string commands = passage_of(chain("drop", {drop_some}), chains({"FORWARD"}));
    EXPECT_EQ(commands,
        "add rule ip filter FORWARD meta mark & 0x10000000 == 0x10000000 counter accept comment "
        "\"composed:here\"\n");
}

TEST(other_firewalls, before_the_last_rule_where_that_rejects_all) {
    EXPECT_THAT(passage_of(chain("accept", {drop_some, reject_all}), chains({"FORWARD"})),
        StartsWith("insert rule ip filter FORWARD position 11 meta mark"));
}

TEST(other_firewalls, beside_dockerd_published_ports_pass_and_its_bridges_stay_its_own) {
    const std::string commands = passage_of(chain("drop", {jump("DOCKER-USER")}),
        chains({"FORWARD", "DOCKER", "DOCKER-USER", "DOCKER-ISOLATION-STAGE-2"}));
    const auto isolated = commands.find("jump DOCKER-ISOLATION-STAGE-2");
    const auto accepted = commands.find("accept comment \"composed:here\"");
    ASSERT_NE(isolated, std::string::npos);
    ASSERT_NE(accepted, std::string::npos);
    EXPECT_LT(isolated, accepted);
    EXPECT_THAT(commands, HasSubstr("0x20000000 counter accept comment \"composed:here published\""));
}

TEST(other_firewalls, ufw_decides_of_what_comes_from_outside_also_beside_dockerd) {
    const std::string commands = passage_of(
        chain("drop", {jump("ufw-before-forward"), jump("ufw-reject-forward"), jump("ufw-track-forward")}),
        chains({"FORWARD", "DOCKER-USER", "ufw-user-forward"}));
    EXPECT_THAT(commands, StartsWith("insert rule ip filter FORWARD position 11 meta mark & 0x10000000"));
    EXPECT_THAT(commands, Not(HasSubstr("0x20000000")));
}

TEST(other_firewalls, before_the_zones_of_firewalld) {
    EXPECT_THAT(
        passage_of(chain("accept", {drop_some, jump("filter_FORWARD_ZONES"), reject_all}, "firewalld"),
            chains({"FORWARD"}, "firewalld")),
        StartsWith("insert rule ip firewalld FORWARD position 11 meta mark"));
}

TEST(other_firewalls, what_is_there_stays_and_what_is_of_another_time_is_replaced) {
    const std::string listed = chain("drop", {drop_some, commented("composed:here")});
    EXPECT_EQ(passage_of(listed, chains({"FORWARD"})), "");
    // dockerd has come since.
    EXPECT_THAT(passage_of(listed, chains({"FORWARD", "DOCKER-USER"})),
        StartsWith("delete rule ip filter FORWARD handle 11\nadd rule ip filter FORWARD"));
}

TEST(other_firewalls, the_rules_of_another_instance_are_its_own) {
    const closing_chain read =
        read_chain(chain("drop", {commented("composed:hereabouts"), commented("composed:here published")}),
            chains({"FORWARD"}), name);
    EXPECT_EQ(read.ours, std::vector<std::string>{"11"});
}

TEST(other_firewalls, rules_that_cannot_be_told_as_json_are_no_end) {
    EXPECT_EQ(passage_of(chain("accept", {R"("expr": [null, {"drop": null}])"}), chains({"FORWARD"})), "");
}

} // namespace
} // namespace engine
