#include "engine/shim/dns_redirect.hpp"

#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstring>
#include <vector>

namespace engine {
namespace {

TEST(dns_redirect, the_batch_is_a_row_of_whole_messages) {
    const std::string batch = dns_redirect_batch(5353, 5354);
    std::vector<int> types;
    for (std::size_t at = 0; at < batch.size();) {
        nlmsghdr header{};
        ASSERT_LE(at + sizeof header, batch.size());
        std::memcpy(&header, batch.data() + at, sizeof header);
        ASSERT_GE(header.nlmsg_len, sizeof header);
        types.push_back(header.nlmsg_type);
        at += NLMSG_ALIGN(header.nlmsg_len);
    }
    ASSERT_EQ(types.size(), 8U); // begin, table, chain, two rules for each protocol, end
    EXPECT_EQ(types.front(), NFNL_MSG_BATCH_BEGIN);
    EXPECT_EQ(types.back(), NFNL_MSG_BATCH_END);
}

TEST(dns_redirect, ports_are_in_network_order) {
    const std::string batch = dns_redirect_batch(0x1234, 0x5678);
    EXPECT_NE(batch.find(std::string("\x12\x34", 2)), std::string::npos);
    EXPECT_NE(batch.find(std::string("\x56\x78", 2)), std::string::npos);
}

} // namespace
} // namespace engine
