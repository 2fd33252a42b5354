#include "compose/load/short_syntax.hpp"
#include "compose/model/units.hpp"

#include "compose/model/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace compose {
namespace {

using ::testing::ElementsAre;

std::string shown(const port& value) {
    return value.host_ip + "|" + value.published + "|" + std::to_string(value.target) + "/" + value.protocol;
}

TEST(units, a_plain_number_reads_as_go_writes_it) {
    for (const auto& [written, text] : std::initializer_list<std::pair<const char*, const char*>>{{"1", "1"},
             {"010", "8"}, {"0x1F", "31"}, {"0o17", "15"}, {"08", "8"}, {"1_000", "1000"}, {"+5", "5"},
             {"1.50", "1.5"}, {"1.0", "1"}, {"1e3", "1000"}, {"1e10", "1e+10"},
             {"1234567.8", "1.2345678e+06"}, {"123456.7", "123456.7"}, {"0.00001", "1e-05"}, {".5", "0.5"},
             {"12345678901234567890", "12345678901234567890"}, {"True", "true"}, {"1.2.3", "1.2.3"},
             {"22:22", "22:22"}, {"yes", "yes"}, {"a_b", "a_b"}, {"1.5g", "1.5g"}, {"", ""}, {"-", "-"}})
        EXPECT_EQ(plain_scalar_text(written), text) << written;
}

TEST(parse_port, every_short_form) {
    const std::pair<std::string_view, std::string_view> table[]{{"80", "||80/tcp"},
        {"8080:80", "|8080|80/tcp"}, {"127.0.0.1:8080:80", "127.0.0.1|8080|80/tcp"},
        {"127.0.0.1::80", "127.0.0.1||80/tcp"}, {"53:53/udp", "|53|53/udp"},
        {"[::1]:6000:6001", "::1|6000|6001/tcp"}, {"8000-8010:80", "|8000-8010|80/tcp"}};
    for (const auto& [text, expected] : table) {
        const std::vector<port> ports = parse_port(text);
        ASSERT_EQ(ports.size(), 1U) << text;
        EXPECT_EQ(shown(ports[0]), expected);
    }
    const std::vector<port> range = parse_port("9000-9001:80-81");
    ASSERT_EQ(range.size(), 2U);
    EXPECT_EQ(shown(range[1]), "|9001|81/tcp");
}

TEST(parse_port, nonsense_is_refused) {
    for (const char* text : {"", "x", "70000", "80:", "1-3:1-2", "80/ip", "0", "[::1:80", "5-3"})
        EXPECT_THROW(parse_port(text), error) << text;
}

TEST(parse_mount, binds_volumes_and_anonymous_ones) {
    EXPECT_EQ(parse_mount("./a:/b:ro").type, mount_type::bind);
    EXPECT_TRUE(parse_mount("./a:/b:ro").read_only);
    EXPECT_EQ(parse_mount("data:/b").type, mount_type::volume);
    EXPECT_EQ(parse_mount("data:/b:nocopy").nocopy, true);
    EXPECT_EQ(parse_mount("/only").source, "");
    for (const char* text : {"", "a:/b:ro:x", ":/x"})
        EXPECT_THROW(parse_mount(text), error) << text;
}

TEST(split_command, as_a_shell_would_without_running_one) {
    EXPECT_THAT(split_command(R"(sh -c 'a b' "c \"d\"" e\ f "")"),
        ElementsAre("sh", "-c", "a b", "c \"d\"", "e f", ""));
    EXPECT_THAT(split_command("  "), ElementsAre());
    EXPECT_THROW(split_command("a 'b"), error);
}

TEST(parse_restart, the_policies_and_nothing_else) {
    EXPECT_EQ(parse_restart("no").mode, restart_mode::no);
    EXPECT_EQ(parse_restart("on-failure:3").max_attempts, 3U);
    EXPECT_EQ(parse_restart("on-failure:"), parse_restart("on-failure"));
    EXPECT_EQ(parse_restart("unless-stopped").mode, restart_mode::unless_stopped);
    for (const char* text : {"sometimes", "on-failure:x", "Always"})
        EXPECT_THROW(parse_restart(text), error) << text;
}

TEST(parse_duration, go_with_days_and_weeks) {
    using namespace std::chrono_literals;
    const std::pair<std::string_view, std::chrono::nanoseconds> table[]{{"1s", 1s},
        {"1h5m30.02s", 1h + 5min + 30020ms}, {"500ms", 500ms}, {"1d", 24h}, {"2w", 336h}, {"0", 0s},
        {"-1s", -1s}, {"10us", 10us}};
    for (const auto& [text, expected] : table)
        EXPECT_EQ(parse_duration(text), expected) << text;
    for (const char* text : {"", "10", "1m30", "s", "1x", "99999999999w"})
        EXPECT_EQ(parse_duration(text), std::nullopt) << text;
    EXPECT_EQ(format_duration(1h + 5min + 30020ms), "1h5m30.02s");
}

TEST(parse_bytes, multiples_of_1024) {
    const std::pair<std::string_view, std::int64_t> table[]{{"64", 64}, {"64b", 64}, {"1k", 1024},
        {"1KB", 1024}, {"2 MiB", 2 << 20}, {"1.5g", 1610612736}, {"-1", -1}};
    for (const auto& [text, expected] : table)
        EXPECT_EQ(parse_bytes(text), expected) << text;
    for (const char* text : {"", "x", "1q", "-5", "1 k b"})
        EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
}

TEST(parse_integer, yaml_forms) {
    EXPECT_EQ(parse_integer("0x1F"), 31);
    EXPECT_EQ(parse_integer("0o17"), 15);
    EXPECT_EQ(parse_integer("0123"), 83);
    EXPECT_EQ(parse_integer("1e3"), std::nullopt);
}

} // namespace
} // namespace compose
