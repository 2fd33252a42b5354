#include "engine/network/address_pool.hpp"
#include "engine/network/attachment.hpp"
#include "engine/network/host_names.hpp"
#include "engine/network/network_options.hpp"

#include "compose/model/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engine {
namespace {

ipv4_subnet subnet(const char* text) {
    return parse_subnet(text).value();
}
ipv6_subnet subnet6(const char* text) {
    return parse_subnet6(text).value();
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
    address_pool<ipv4_subnet> pool(subnet("10.0.0.0/29"), address("10.0.0.1"));
    std::set<std::string> given;
    while (const auto next = pool.allocate())
        given.insert(to_string(*next));
    EXPECT_EQ(given, (std::set<std::string>{"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}));
}

TEST(address_pool, what_was_given_back_is_used_last) {
    address_pool<ipv4_subnet> pool(subnet("10.0.0.0/29"), address("10.0.0.1"));
    const ipv4_address first = pool.allocate().value();
    pool.give_back(first);
    EXPECT_NE(pool.allocate(), first);
}

TEST(address_pool, what_is_excepted_is_not_given_out) {
    address_pool<ipv4_subnet> pool(subnet("10.0.0.0/29"), address("10.0.0.1"));
    const std::set<ipv4_address> but{address("10.0.0.2"), address("10.0.0.3"), address("10.0.0.6")};
    EXPECT_EQ(to_string(pool.allocate(but).value()), "10.0.0.4");
    EXPECT_EQ(to_string(pool.allocate(but).value()), "10.0.0.5");
    EXPECT_EQ(pool.allocate(but), std::nullopt);
    EXPECT_TRUE(pool.take(address("10.0.0.3")));
    EXPECT_TRUE(pool.allocate());
}

TEST(address_pool, a_range_narrows_the_choice_but_not_the_wish) {
    address_pool<ipv4_subnet> pool(subnet("10.0.0.0/24"), address("10.0.0.1"), subnet("10.0.0.128/25"));
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

TEST(records, of_the_first_version_are_read) {
    const network_record record = decode_network("n",
        R"({"v":1,"id":"aa","name":"n","project":"p","key":"k","labels":{},"internal":false,)"
        R"("subnet":"10.1.0.0/16","gateway":"10.1.0.1","bridge":"b","created":"now"})");
    EXPECT_TRUE(record.definition.ipv4);
    EXPECT_FALSE(record.definition.ipv6);
    EXPECT_EQ(record.ipv4->gateway, address("10.1.0.1"));
    const attachment lease = decode_attachment("c",
        R"({"v":1,"endpoints":[{"network":"n","address":"10.1.0.2","aliases":[],"gateway_priority":0}],)"
        R"("published":[{"host":"0.0.0.0","port":80,"protocol":"tcp","target":80}],"dns":[]})");
    EXPECT_EQ(lease.endpoints.front().ipv4, address("10.1.0.2"));
    EXPECT_TRUE(is_any(lease.published.front().host));
}

TEST(parse_subnet6, the_host_part_is_zero) {
    EXPECT_EQ(to_string(subnet6("fd00:1::/64")), "fd00:1::/64");
    EXPECT_TRUE(subnet6("fd00::/61").contains(parse_ipv6("fd00:0:0:7::1").value()));
    EXPECT_FALSE(subnet6("fd00::/61").contains(parse_ipv6("fd00:0:0:8::1").value()));
    for (const char* text : {"fd00::1/64", "fd00::", "fd00::/127", "fd00::/0", "10.0.0.0/8", "[fd00::]/64"})
        EXPECT_EQ(parse_subnet6(text), std::nullopt) << text;
}

TEST(address_pool, of_ipv6_goes_on_where_the_range_begins) {
    const ipv6_address gateway = parse_ipv6("fd00::1").value();
    address_pool<ipv6_subnet> pool(subnet6("fd00::/64"), gateway);
    EXPECT_EQ(to_string(pool.allocate().value()), "fd00::2");
    EXPECT_FALSE(pool.take(gateway));
    address_pool<ipv6_subnet> small(subnet6("fd00::/126"), gateway);
    EXPECT_EQ(to_string(small.allocate().value()), "fd00::2");
    EXPECT_EQ(to_string(small.allocate().value()), "fd00::3");
    EXPECT_EQ(small.allocate(), std::nullopt);
    EXPECT_EQ(to_string(parse_ipv6("fd00::ffff:ffff").value().plus(1)), "fd00::1:0:0");
}

TEST(choose_subnet6, stays_within_the_prefix_of_the_host) {
    const ipv6_subnet first = choose_subnet6("host", {}).value();
    const ipv6_subnet second = choose_subnet6("host", {first}).value();
    EXPECT_EQ(first.base.bytes[0], 0xfd);
    EXPECT_FALSE(first.overlaps(second));
    EXPECT_EQ(choose_subnet6("host", {}), first);
    EXPECT_NE(choose_subnet6("other", {}), first);
}

TEST(parse_mac, knows_no_groups) {
    EXPECT_EQ(to_string(parse_mac("02:42:AC:11:00:02").value()), "02:42:ac:11:00:02");
    for (const char* text : {"", "02:42:ac:11:00", "01:00:5e:00:00:01", "x2:42:ac:11:00:02"})
        EXPECT_EQ(parse_mac(text), std::nullopt) << text;
}

TEST(options_of, say_what_a_network_is_made_with) {
    network_definition wanted;
    wanted.name = "n";
    wanted.options = {{"com.docker.network.driver.mtu", "1400"}, {"com.docker.network.bridge.name", "br7"},
        {"com.docker.network.bridge.enable_icc", "false"}};
    EXPECT_EQ(options_of(wanted).mtu, 1400U);
    EXPECT_EQ(options_of(wanted).bridge, "br7");
    EXPECT_FALSE(options_of(wanted).between_members);
    const std::pair<const char*, const char*> bad[]{{"com.docker.network.driver.mtu", "7"},
        {"com.docker.network.bridge.name", "a name that is too long"}, {"parent", "eth0"},
        {"com.docker.network.bridge.enable_icc", "perhaps"}};
    for (const auto& [key, value] : bad) {
        wanted.options = {{key, value}};
        EXPECT_THROW(options_of(wanted), compose::error) << key;
    }
    wanted.driver = network_driver::ipvlan;
    wanted.options = {};
    EXPECT_THROW(options_of(wanted), compose::error);
    wanted.options = {{"parent", "eth0"}, {"ipvlan_mode", "l3"}};
    EXPECT_EQ(options_of(wanted).mode, "l3");
}

TEST(records, come_back_as_they_were_written) {
    const ipv6_lan six{.subnet = subnet6("fd00:1::/64"), .gateway = parse_ipv6("fd00:1::1").value()};
    network_record record{.id = std::string(64, 'a'),
        .definition = {.name = "n",
            .project = "p",
            .key = "k",
            .labels = {{"a", "b"}},
            .driver = network_driver::macvlan,
            .options = {{"parent", "eth0"}},
            .internal = true,
            .ipv4 = true,
            .ipv6 = true,
            .subnet = subnet("10.1.0.0/16"),
            .subnet6 = six.subnet,
            .reserved = {address("10.1.0.9"), six.gateway}},
        .ipv4 = ipv4_lan{.subnet = subnet("10.1.0.0/16"), .gateway = address("10.1.0.1")},
        .ipv6 = six,
        .bridge = "b",
        .lent = lent_bridge{.up = true, .route_localnet = false, .addresses = {address("10.1.0.7")}},
        .created = "now"};
    const network_record again = decode_network("n", encode(record));
    EXPECT_EQ(again.definition, record.definition);
    EXPECT_EQ(again.ipv4, record.ipv4);
    EXPECT_EQ(again.ipv6, record.ipv6);
    EXPECT_EQ(again.lent, record.lent);
    EXPECT_FALSE(given_ipv4(again)) << "the bridge has an address of its own there";
    EXPECT_EQ(given_ipv6(again), six.gateway);

    const attachment lease{.container = "c",
        .endpoints = {{.network = "n",
            .ipv4 = address("10.1.0.2"),
            .ipv6 = six.gateway,
            .aliases = {"web"},
            .interface = "lan0",
            .mac = parse_mac("02:42:00:00:00:07"),
            .link_local = {address("169.254.1.2")},
            .sysctls = {{"net.ipv4.conf.IFNAME.log_martians", "1"}}}},
        .published = {{.host = ipv6_address(), .port = 8080, .protocol = transport::udp, .target = 80}},
        .offers = {{.port = 80, .protocol = transport::tcp, .name = "http"}},
        .links = {{"database", "db"}}};
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
