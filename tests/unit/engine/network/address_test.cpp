#include "engine/network/address_pool.hpp"
#include "engine/network/attachment.hpp"
#include "engine/network/host_names.hpp"
#include "engine/network/network_record.hpp"

#include "compose/model/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engine {
namespace {

ipv4_subnet subnet(const char* text) {
    return parse_subnet(text).value();
}
ipv4_address address(const char* text) {
    return parse_ipv4(text).value();
}

TEST(parse_ipv4, four_decimal_parts_and_nothing_else) {
    EXPECT_EQ(to_string(address("172.16.0.255")), "172.16.0.255");
    for (const char* text :
        {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "a.b.c.d", "1..2.3"})
        EXPECT_EQ(parse_ipv4(text), std::nullopt) << text;
}

TEST(parse_subnet, the_host_part_is_zero) {
    EXPECT_EQ(to_string(subnet("10.0.0.0/8")), "10.0.0.0/8");
    for (const char* text :
        {"10.0.0.1/8", "10.0.0.0", "10.0.0.0/31", "10.0.0.0/0", "10.0.0.0/x", "10.0.0.0/"})
        EXPECT_EQ(parse_subnet(text), std::nullopt) << text;
}

TEST(address_pool, gives_each_host_address_once_and_then_none) {
    address_pool pool(subnet("10.0.0.0/29"), address("10.0.0.1"));
    std::set<std::string> given;
    while (const auto next = pool.allocate())
        given.insert(to_string(*next));
    EXPECT_EQ(given, (std::set<std::string>{"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}));
}

TEST(address_pool, what_was_given_back_is_used_last) {
    address_pool pool(subnet("10.0.0.0/29"), address("10.0.0.1"));
    const ipv4_address first = pool.allocate().value();
    pool.give_back(first);
    EXPECT_NE(pool.allocate(), first);
}

TEST(address_pool, a_range_narrows_the_choice_but_not_the_wish) {
    address_pool pool(subnet("10.0.0.0/24"), address("10.0.0.1"), subnet("10.0.0.128/25"));
    EXPECT_EQ(to_string(pool.allocate().value()), "10.0.0.128");
    EXPECT_TRUE(pool.take(address("10.0.0.9")));
    EXPECT_FALSE(pool.take(address("10.0.0.9")));
    EXPECT_FALSE(pool.take(address("10.0.0.1")));
    EXPECT_FALSE(pool.take(address("10.0.1.9")));
}

TEST(choose_subnet, goes_round_what_is_in_use) {
    const std::vector<ipv4_subnet> pools{subnet("172.16.0.0/16"), subnet("192.168.0.0/24")};
    EXPECT_EQ(to_string(choose_subnet(pools, 24, {}).value()), "172.16.0.0/24");
    EXPECT_EQ(to_string(choose_subnet(pools, 24, {subnet("172.16.0.0/23")}).value()), "172.16.2.0/24");
    EXPECT_EQ(to_string(choose_subnet(pools, 24, {subnet("172.16.0.0/12")}).value()), "192.168.0.0/24");
    EXPECT_EQ(choose_subnet(pools, 24, {subnet("172.16.0.0/12"), subnet("192.168.0.0/16")}), std::nullopt);
}

TEST(records, come_back_as_they_were_written) {
    network_record record{.id = std::string(64, 'a'),
        .definition = {.name = "n",
            .project = "p",
            .key = "k",
            .labels = {{"a", "b"}},
            .internal = true,
            .subnet = subnet("10.1.0.0/16")},
        .subnet = subnet("10.1.0.0/16"),
        .gateway = address("10.1.0.1"),
        .bridge = "b",
        .created = "now"};
    const network_record again = decode_network("n", encode(record));
    EXPECT_EQ(again.definition, record.definition);
    EXPECT_EQ(again.gateway, record.gateway);

    const attachment lease{.container = "c",
        .endpoints = {{.network = "n", .address = address("10.1.0.2"), .aliases = {"web"}}},
        .published = {{.host = {}, .port = 8080, .protocol = transport::udp, .target = 80}}};
    EXPECT_EQ(decode_attachment("c", encode(lease)), lease);
    for (const char* text : {"", "{}", "[]", "{\"endpoints\":[{}],\"published\":[]}"}) {
        EXPECT_THROW(decode_attachment("c", text), compose::error) << text;
        EXPECT_THROW(decode_network("n", text), compose::error) << text;
    }
}

TEST(host_names, fit_an_interface_and_tell_instances_apart) {
    const host_names one("composed");
    const host_names other("composed2");
    EXPECT_EQ(one.bridge("id").size(), 15U);
    EXPECT_EQ(one.veth("id", 0, 7).size(), 15U);
    EXPECT_NE(one.veth("id", 0, 7), one.veth("id", 0, 8));
    EXPECT_TRUE(one.is_bridge(one.bridge("id")));
    EXPECT_FALSE(one.is_ours(other.bridge("id")));
    EXPECT_EQ(host_names("a-b.c").table(), "a_b_c");
}

} // namespace
} // namespace engine
