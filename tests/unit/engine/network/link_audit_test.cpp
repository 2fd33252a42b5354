#include "engine/network/link_audit.hpp"

#include <gtest/gtest.h>

namespace engine {
namespace {

constexpr ipv4_address gateway{0x0a000001};
const std::vector<wanted_bridge> bridges{{.network = "front", .bridge = "b0", .gateway = gateway}};
const std::vector<wanted_port> ports{{.container = "web", .veth = "v0", .bridge = "b0"}};

std::vector<link_info> whole() {
    return {{.index = 1, .name = "lo", .up = true, .master = 0, .addresses = {0x7f000001}},
        {.index = 2, .name = "b0", .up = true, .master = 0, .addresses = {gateway.value}},
        {.index = 3, .name = "v0", .up = true, .master = 2, .addresses = {}}};
}

std::vector<link_fault> faults(const std::vector<link_info>& links) {
    return find_link_faults(bridges, ports, links);
}

TEST(link_audit, finds_nothing_where_all_is_in_order) {
    EXPECT_TRUE(faults(whole()).empty());
}

TEST(link_audit, puts_a_deleted_bridge_before_the_ports_that_go_under_it) {
    auto links = whole();
    links.erase(links.begin() + 1);
    links.back().master = 0; // as the kernel leaves it
    const std::vector<link_fault> expected{
        {link_fault_kind::bridge_gone, 0}, {link_fault_kind::port_astray, 0}};
    EXPECT_EQ(faults(links), expected);
}

TEST(link_audit, leaves_a_bridge_of_others_to_them) {
    const std::vector<wanted_bridge> theirs{
        {.network = "front", .bridge = "b0", .lent = true, .gateway = gateway}};
    auto links = whole();
    links[1].up = false;
    EXPECT_TRUE(find_link_faults(theirs, ports, links).empty());
    links[1].addresses.clear(); // which it had from us
    const std::vector<link_fault> expected{{link_fault_kind::address_gone, 0}};
    EXPECT_EQ(find_link_faults(theirs, ports, links), expected);
    links.erase(links.begin() + 1);
    links.back().master = 0;
    EXPECT_TRUE(find_link_faults(theirs, ports, links).empty());
}

TEST(link_audit, sees_what_a_bridge_lacks) {
    auto links = whole();
    links[1].up = false;
    links[1].addresses = {0x0a000002};
    const std::vector<link_fault> expected{
        {link_fault_kind::bridge_down, 0}, {link_fault_kind::address_gone, 0}};
    EXPECT_EQ(faults(links), expected);
}

TEST(link_audit, sees_a_port_that_is_gone_down_or_elsewhere) {
    auto links = whole();
    links[2].up = false;
    links[2].master = 1;
    const std::vector<link_fault> astray{{link_fault_kind::port_astray, 0}, {link_fault_kind::port_down, 0}};
    EXPECT_EQ(faults(links), astray);
    links.pop_back();
    const std::vector<link_fault> gone{{link_fault_kind::port_gone, 0}};
    EXPECT_EQ(faults(links), gone);
}

} // namespace
} // namespace engine
