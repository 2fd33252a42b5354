#include "engine/network/dns_message.hpp"
#include "engine/network/dns_zone.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

dns_bytes query(const std::string& name, std::uint16_t type) {
    dns_bytes bytes{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    std::size_t begin = 0;
    while (begin < name.size()) {
        const auto end = std::min(name.find('.', begin), name.size());
        bytes.push_back(static_cast<std::uint8_t>(end - begin));
        bytes.insert(bytes.end(), name.begin() + static_cast<std::ptrdiff_t>(begin),
            name.begin() + static_cast<std::ptrdiff_t>(end));
        begin = end + 1;
    }
    for (const unsigned byte : {0U, static_cast<unsigned>(type) >> 8U, type & 255U, 0U, 1U})
        bytes.push_back(static_cast<std::uint8_t>(byte));
    return bytes;
}

TEST(dns_message, a_query_is_read_in_lower_case) {
    const auto question = parse_query(query("Web.Example", 1));
    ASSERT_TRUE(question);
    EXPECT_EQ(question->name, "web.example");
    EXPECT_EQ(question->id, 0x1234);
    EXPECT_EQ(question->size_limit, 512U);
}

TEST(dns_message, what_is_no_query_gets_no_answer) {
    dns_bytes answer = query("web", 1);
    answer[2] = 0x80;
    EXPECT_FALSE(parse_query(answer));
    EXPECT_FALSE(parse_query({}));
    const dns_bytes whole = query("web.example", 1);
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(parse_query(std::span(whole).first(size))) << size;
    // A name that points at itself.
    EXPECT_FALSE(parse_query(dns_bytes{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1}));
}

TEST(dns_message, an_answer_above_the_limit_is_cut_and_says_so) {
    const dns_bytes asked = query("web", 1);
    const std::vector<ipv4_address> few(3, ipv4_address{0x0a000001});
    const std::vector<ipv4_address> many(100, ipv4_address{0x0a000001});
    const dns_bytes whole = make_answer(asked, dns_code::no_error, {.addresses = few}, 512);
    EXPECT_EQ(whole[7], 3);
    EXPECT_EQ(whole[2] & 2, 0);
    const dns_bytes cut = make_answer(asked, dns_code::no_error, {.addresses = many}, 512);
    EXPECT_LE(cut.size(), 512U);
    EXPECT_EQ(cut[2] & 2, 2);
}

/// The query with an OPT record (RFC 6891 6.1.2).
dns_bytes with_opt(dns_bytes message, unsigned size, std::uint8_t version = 0) {
    message[11] = 1;
    for (const unsigned byte :
        {0U, 0U, 41U, size >> 8U, size & 255U, 0U, static_cast<unsigned>(version), 0U, 0U, 0U, 0U})
        message.push_back(static_cast<std::uint8_t>(byte));
    return message;
}

TEST(dns_message, what_is_cut_has_what_fits) {
    const std::vector<ipv4_address> many(100, ipv4_address{0x0a000001});
    const dns_bytes cut = make_answer(query("web", 1), dns_code::no_error, {.addresses = many}, 512);
    EXPECT_EQ(cut[7], (512 - 12 - 9) / 16);
    EXPECT_GT(cut.size(), 512U - 16);
    const dns_bytes more =
        make_answer(with_opt(query("web", 1), 1232), dns_code::no_error, {.addresses = many}, 1232);
    EXPECT_EQ(more[7], (1232 - 12 - 9 - 11) / 16);
    EXPECT_EQ(more[11], 1);
}

TEST(dns_message, an_opt_record_is_answered_by_one) {
    const dns_bytes plain = make_answer(query("web", 1), dns_code::no_error, {}, 512);
    EXPECT_EQ(plain[11], 0);
    const dns_bytes asked = with_opt(query("web", 1), 1232);
    ASSERT_TRUE(parse_query(asked));
    EXPECT_EQ(parse_query(asked)->size_limit, 1232U);
    const dns_bytes answer = make_answer(asked, dns_code::name_error, {}, 512);
    ASSERT_EQ(answer.size(), plain.size() + 11);
    EXPECT_EQ(answer[11], 1);
    EXPECT_EQ(answer[plain.size() + 2], 41);
}

TEST(dns_message, what_we_do_not_answer_is_refused_by_its_code) {
    const auto refusal = [](const dns_bytes& message) {
        const auto question = parse_query(message);
        return question ? question->refusal : dns_code::no_error;
    };
    const dns_bytes version = with_opt(query("web", 1), 1232, 1);
    EXPECT_EQ(refusal(version), dns_code::bad_version);
    const dns_bytes answer = make_answer(version, dns_code::bad_version, {}, 512);
    EXPECT_EQ(answer[3] & 15, 0);
    EXPECT_EQ(answer[answer.size() - 6], 1); // the upper bits of the code
    EXPECT_EQ(answer[answer.size() - 5], 0); // our version
    dns_bytes notify = query("web", 1);
    notify[2] = 4 << 3;
    EXPECT_EQ(refusal(notify), dns_code::not_implemented);
    EXPECT_EQ(make_answer(notify, dns_code::not_implemented, {}, 512)[2], 0x80 | 4 << 3);
    dns_bytes chaos = query("version.bind", 16);
    chaos.back() = 3;
    EXPECT_EQ(refusal(chaos), dns_code::refused);
    dns_bytes none = query("web", 1);
    none.resize(12);
    none[5] = 0;
    EXPECT_EQ(refusal(none), dns_code::format_error);
    EXPECT_EQ(make_answer(none, dns_code::format_error, {}, 512).size(), 12U);
}

TEST(dns_message, reverse_names_hold_an_address) {
    EXPECT_EQ(to_string(address_in_ptr("4.3.2.1.in-addr.arpa").value()), "1.2.3.4");
    EXPECT_FALSE(address_in_ptr("web"));
    EXPECT_FALSE(address_in_ptr("2.0.0.ip6.arpa"));
}

struct dns_zone_test : ::testing::Test {
    dns_zone_test() {
        networks["front"].definition.name = "front";
        networks["back"].definition.internal = true;
        attachments["a"] = {.container = "a",
            .endpoints = {{.network = "front", .ipv4 = ipv4_address{1}, .aliases = {"p-a-1", "a"}}}};
        attachments["b"] = {.container = "b",
            .endpoints = {{.network = "front", .ipv4 = ipv4_address{2}, .aliases = {"p-b-1", "b"}},
                {.network = "back", .ipv4 = ipv4_address{3}, .aliases = {"p-b-1", "b"}}}};
        attachments["c"] = {.container = "c",
            .endpoints = {{.network = "back", .ipv4 = ipv4_address{4}, .aliases = {"p-c-1", "c"}}}};
        running = {{"a", 1}, {"b", 2}, {"c", 3}};
    }

    dns_answer ask(const std::string& asker, const std::string& name, dns_type type = dns_type::a) {
        name_index names;
        for (const auto& [container, each] : attachments)
            names.add(each);
        return dns_zone{.attachments = attachments,
            .names = names,
            .running = running,
            .networks = networks,
            .draining = draining}
            .find(asker, static_cast<std::uint16_t>(type), name);
    }

    std::map<std::string, attachment> attachments;
    std::map<std::string, network_record> networks;
    std::map<std::string, pid_t> running;
    std::set<std::string> draining;
};

TEST_F(dns_zone_test, names_are_seen_on_shared_networks_only) {
    EXPECT_THAT(ask("a", "b").records.addresses, ElementsAre(ipv4_address{2}));
    EXPECT_THAT(ask("c", "b").records.addresses, ElementsAre(ipv4_address{3}));
    EXPECT_FALSE(ask("a", "c").known);
}

TEST_F(dns_zone_test, a_known_name_without_that_type_is_known_and_empty) {
    const dns_answer answer = ask("a", "b", dns_type::aaaa);
    EXPECT_TRUE(answer.known);
    EXPECT_THAT(answer.records.addresses, IsEmpty());
}

TEST_F(dns_zone_test, names_of_ours_that_nobody_runs_by_are_absent) {
    networks["front"].definition.project = "p";
    networks["back"].definition.project = "p";
    EXPECT_FALSE(ask("a", "b").absent);
    running.erase("b");
    for (const char* name : {"b", "p-b-1", "b.front", "_80._tcp.b"})
        EXPECT_TRUE(ask("a", name).absent) << name;
    EXPECT_TRUE(ask("a", "c").absent) << "of the project, on another network";
    attachments["c"].endpoints[0].aliases.emplace_back("www.example.com");
    EXPECT_FALSE(ask("a", "www.example.com").absent) << "it may be another one's outside";
    networks["back"].definition.project = "other";
    EXPECT_FALSE(ask("a", "c").absent);
    EXPECT_FALSE(ask("a", "nobody").absent);
    running["b"] = 2;
    draining = {"b"};
    EXPECT_TRUE(ask("a", "b").absent);
}

TEST_F(dns_zone_test, addresses_of_our_subnets_are_asked_of_nobody_else) {
    networks["front"].bridge = "b0";
    networks["front"].ipv4 = {
        .subnet = parse_subnet("10.0.0.0/24").value(), .gateway = ipv4_address{0x0a000001}};
    EXPECT_TRUE(ask("a", "9.0.0.10.in-addr.arpa", dns_type::ptr).absent);
    EXPECT_FALSE(ask("a", "9.1.0.10.in-addr.arpa", dns_type::ptr).absent);
    networks["front"].lent.emplace();
    EXPECT_FALSE(ask("a", "9.0.0.10.in-addr.arpa", dns_type::ptr).absent);
}

TEST_F(dns_zone_test, both_families_and_reverse_names_are_known) {
    const ipv6_address six = parse_ipv6("fd00::2").value();
    attachments["b"].endpoints[0].ipv6 = six;
    EXPECT_THAT(ask("a", "b", dns_type::aaaa).records.addresses6, ElementsAre(six));
    EXPECT_THAT(ask("a", "b").records.addresses6, IsEmpty());
    EXPECT_EQ(ask("a", "b", dns_type::any).records.addresses.size(), 1U);
    EXPECT_THAT(
        ask("a", "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", dns_type::ptr)
            .records.names,
        ElementsAre("p-b-1.front"));
}

TEST_F(dns_zone_test, services_are_found_by_port) {
    attachments["b"].offers = {{.port = 8080, .protocol = transport::tcp, .name = "web"}};
    for (const char* name : {"_web._tcp.b", "_8080._tcp.b"}) {
        const dns_answer answer = ask("a", name, dns_type::srv);
        ASSERT_EQ(answer.records.services.size(), 1U) << name;
        EXPECT_EQ(answer.records.services[0].port, 8080);
        EXPECT_EQ(answer.records.services[0].host, "p-b-1.front");
    }
    for (const char* name : {"_web._udp.b", "_web._tcp.c", "_web.b", "_"})
        EXPECT_FALSE(ask("a", name, dns_type::srv).known) << name;
}

TEST_F(dns_zone_test, a_link_is_a_name_of_the_asker_alone) {
    attachments["a"].links = {{"database", "b"}};
    EXPECT_THAT(ask("a", "database").records.addresses, ElementsAre(ipv4_address{2}));
    EXPECT_FALSE(ask("c", "database").known);
}

TEST_F(dns_zone_test, what_does_not_run_has_no_address) {
    running.erase("b");
    EXPECT_FALSE(ask("a", "b").known);
}

TEST_F(dns_zone_test, nobody_is_led_to_one_that_comes_to_take_a_place_or_leaves) {
    attachments["b"].held_back = true;
    EXPECT_FALSE(ask("a", "b").known);
    EXPECT_TRUE(ask("b", "a").known);
    attachments["b"].held_back = false;
    draining = {"b"};
    EXPECT_FALSE(ask("a", "b").known);
}

TEST_F(dns_zone_test, internal_networks_do_not_ask_the_outside) {
    EXPECT_TRUE(ask("a", "example.com").may_forward);
    EXPECT_FALSE(ask("c", "example.com").may_forward);
}

} // namespace
} // namespace engine
