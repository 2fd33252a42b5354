#include "engine/system/conntrack.hpp"

#include "compose/model/error.hpp"
#include "engine/system/routes.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netlink/cache.h>
#include <netlink/netfilter/ct.h>
#include <netlink/netfilter/nfnl.h>
#include <netlink/netlink.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>

namespace engine {

namespace {

struct releaser {
    void operator()(nl_sock* socket) const noexcept { ::nl_socket_free(socket); }
    void operator()(nl_cache* cache) const noexcept { ::nl_cache_free(cache); }
    void operator()(nfnl_ct* flow) const noexcept { ::nfnl_ct_put(flow); }
};

constexpr int original = 0; // direction: as the first packet went

[[noreturn]] void fail(int code) {
    throw compose::error(compose::error_kind::internal,
        fmt::format("forget UDP flows of published ports: {}", ::nl_geterror(code)));
}

/// Where the first packet of a flow went; 0 when that is not an IPv4 address.
std::uint32_t destination_of(const nfnl_ct* flow) {
    nl_addr* const address = ::nfnl_ct_get_dst(flow, original);
    if (address == nullptr || ::nl_addr_get_len(address) != sizeof(std::uint32_t))
        return 0;
    std::uint32_t value = 0;
    std::memcpy(&value, ::nl_addr_get_binary_addr(address), sizeof(value));
    return ntohl(value);
}

/// What names a flow to the kernel: its first packet.
std::unique_ptr<nfnl_ct, releaser> name_of(const nfnl_ct* flow) {
    std::unique_ptr<nfnl_ct, releaser> name(::nfnl_ct_alloc());
    ::nfnl_ct_set_family(name.get(), AF_INET);
    ::nfnl_ct_set_proto(name.get(), IPPROTO_UDP);
    ::nfnl_ct_set_src(name.get(), original, ::nfnl_ct_get_src(flow, original));
    ::nfnl_ct_set_dst(name.get(), original, ::nfnl_ct_get_dst(flow, original));
    ::nfnl_ct_set_src_port(name.get(), original, ::nfnl_ct_get_src_port(flow, original));
    ::nfnl_ct_set_dst_port(name.get(), original, ::nfnl_ct_get_dst_port(flow, original));
    return name;
}

} // namespace

void forget_udp_flows(const std::vector<udp_port>& ports) {
    if (ports.empty())
        return;
    const std::unique_ptr<nl_sock, releaser> socket(::nl_socket_alloc());
    if (!socket)
        fail(-NLE_NOMEM);
    if (const int result = ::nfnl_connect(socket.get()); result < 0)
        fail(result);
    nl_cache* read = nullptr;
    if (const int result = ::nfnl_ct_alloc_cache(socket.get(), &read); result < 0)
        fail(result);
    const std::unique_ptr<nl_cache, releaser> flows(read);
    std::set<std::uint32_t> local;
    for (const host_address& each : host_addresses())
        local.insert(each.address);
    for (nl_object* each = ::nl_cache_get_first(read); each != nullptr; each = ::nl_cache_get_next(each)) {
        const auto* flow = reinterpret_cast<nfnl_ct*>(each);
        if (::nfnl_ct_get_family(flow) != AF_INET || ::nfnl_ct_get_proto(flow) != IPPROTO_UDP)
            continue;
        const std::uint32_t address = destination_of(flow);
        const std::uint16_t port = ::nfnl_ct_get_dst_port(flow, original);
        const bool ours = std::any_of(ports.begin(), ports.end(), [&](const udp_port& of) {
            return of.port == port && (of.address == 0 ? local.contains(address) : of.address == address);
        });
        if (!ours)
            continue;
        const auto name = name_of(flow);
        const int result = ::nfnl_ct_del(socket.get(), name.get(), 0);
        if (result < 0 && result != -NLE_OBJ_NOTFOUND) // it may have run out meanwhile
            fail(result);
    }
}

} // namespace engine
