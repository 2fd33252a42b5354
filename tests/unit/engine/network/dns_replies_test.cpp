#include "engine/network/dns_replies.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace engine {
namespace {

dns_bytes query(std::string_view label, std::uint16_t id) {
    dns_bytes bytes{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(label.size())};
    bytes.insert(bytes.end(), label.begin(), label.end());
    bytes.insert(bytes.end(), {0, 0, 1, 0, 1}); // the root, A, IN
    set_id(bytes, id);
    return bytes;
}

const dns_records one{.addresses = {ipv4_address{1}}};
const dns_records other{.addresses = {ipv4_address{2}}};

TEST(dns_replies, a_remembered_reply_bears_the_id_and_the_letters_of_who_asks) {
    dns_replies replies;
    for (const auto& asked : {query("web", 1), query("web", 2), query("wEb", 3), query("web", 4)}) {
        EXPECT_EQ(replies.question_in(asked)->name, "web");
        EXPECT_EQ(replies.answer(asked, dns_code::no_error, one, 512),
            make_answer(asked, dns_code::no_error, one, 512));
    }
}

TEST(dns_replies, are_made_anew_when_what_they_say_is_true_no_more) {
    dns_replies replies;
    const dns_bytes asked = query("web", 1);
    const auto check = [&](dns_code code, const dns_records& records, std::size_t limit) {
        EXPECT_EQ(replies.answer(asked, code, records, limit), make_answer(asked, code, records, limit));
    };
    dns_records many;
    many.addresses.assign(50, ipv4_address{7});
    check(dns_code::no_error, one, 512);
    check(dns_code::no_error, other, 512);
    check(dns_code::name_error, {}, 512);
    check(dns_code::no_error, {}, 512);
    check(dns_code::no_error, many, 512);
    check(dns_code::no_error, many, 65535);
    check(dns_code::no_error, one, 512);
}

TEST(dns_replies, what_is_no_question_stays_none_and_large_ones_are_read_all_the_same) {
    dns_replies replies;
    EXPECT_FALSE(replies.question_in({}));
    const dns_bytes cut = {1, 2, 3};
    for (int again = 0; again < 2; ++again) {
        EXPECT_FALSE(replies.question_in(cut));
        EXPECT_TRUE(replies.answer(cut, dns_code::no_error, one, 512).empty());
    }
    dns_bytes large = query("web", 1);
    large[11] = 1; // an OPT record with 400 bytes of padding (RFC 7830)
    large.insert(
        large.end(), {0, 0, 41, 4, 208, 0, 0, 0, 0, 404 >> 8, 404 & 255, 0, 12, 400 >> 8, 400 & 255});
    large.insert(large.end(), 400, 0);
    EXPECT_EQ(replies.question_in(large)->name, "web");
    EXPECT_EQ(replies.answer(large, dns_code::no_error, one, 512),
        make_answer(large, dns_code::no_error, one, 512));
}

TEST(dns_replies, go_on_when_more_is_asked_than_is_remembered) {
    dns_replies replies;
    for (int round = 0; round < 2; ++round)
        for (int name = 0; name < 600; ++name) {
            const dns_bytes asked = query("n" + std::to_string(name), 9);
            ASSERT_EQ(replies.question_in(asked)->name, "n" + std::to_string(name));
            ASSERT_EQ(replies.answer(asked, dns_code::no_error, one, 512),
                make_answer(asked, dns_code::no_error, one, 512));
        }
}

} // namespace
} // namespace engine
