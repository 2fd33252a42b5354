#include "engine/network/address_pool.hpp"

#include "engine/network/host_names.hpp"

#include <algorithm>

namespace engine {

namespace {

ipv4_address after(ipv4_address address) {
    return {address.value + 1};
}
ipv6_address after(const ipv6_address& address) {
    return address.plus(1);
}

ipv4_address last_of(const ipv4_subnet& subnet) {
    return subnet.last();
}
ipv6_address last_of(const ipv6_subnet& subnet) {
    ipv6_address last = subnet.base;
    for (unsigned bit = subnet.length; bit < 128; ++bit)
        last.bytes[bit / 8] = static_cast<std::uint8_t>(last.bytes[bit / 8] | 128U >> bit % 8);
    return last;
}

bool is_broadcast(const ipv4_subnet& subnet, ipv4_address address) {
    return address == subnet.last();
}
bool is_broadcast(const ipv6_subnet&, const ipv6_address&) {
    return false;
}

} // namespace

template <typename Subnet>
address_pool<Subnet>::address_pool(Subnet subnet, address_type gateway, std::optional<Subnet> range)
    : subnet_(subnet), gateway_(gateway), range_(range.value_or(subnet)), next_(range_.base) {}

template <typename Subnet>
bool address_pool<Subnet>::is_host(address_type address) const noexcept {
    return subnet_.contains(address) && address != subnet_.base && !is_broadcast(subnet_, address) &&
           address != gateway_;
}

template <typename Subnet>
std::optional<typename address_pool<Subnet>::address_type> address_pool<Subnet>::allocate(
    const std::set<address_type>& but) {
    // The network's own, the gateway, the broadcast address, those that are taken and those of `but` are no
    // answer; one more is, unless the range is smaller than that.
    const address_type first = next_;
    for (std::size_t tried = 0; tried < taken_.size() + but.size() + 4; ++tried) {
        const address_type candidate = next_;
        next_ = candidate == last_of(range_) ? range_.base : after(candidate);
        if (!but.contains(candidate) && take(candidate))
            return candidate;
        if (next_ == first)
            break;
    }
    return std::nullopt;
}

template <typename Subnet>
bool address_pool<Subnet>::take(address_type address) {
    return is_host(address) && taken_.insert(address).second;
}

template <typename Subnet>
void address_pool<Subnet>::give_back(address_type address) {
    taken_.erase(address);
}

template class address_pool<ipv4_subnet>;
template class address_pool<ipv6_subnet>;

std::optional<ipv4_subnet> choose_subnet(
    const std::vector<ipv4_subnet>& pools, unsigned length, const std::vector<ipv4_subnet>& used) {
    for (const ipv4_subnet& pool : pools) {
        if (pool.length > length)
            continue;
        const std::uint64_t step = std::uint64_t{1} << (32U - length);
        std::uint64_t at = pool.base.value;
        while (at <= pool.last().value) {
            const ipv4_subnet candidate{.base = {static_cast<std::uint32_t>(at)}, .length = length};
            const auto taken = std::find_if(used.begin(), used.end(),
                [&](const ipv4_subnet& other) { return other.overlaps(candidate); });
            if (taken == used.end())
                return candidate;
            // Past the whole of what is in the way, so that one large route does not cost a look at each of
            // its parts.
            at = std::max(at + step, (std::uint64_t{taken->last().value} + step) / step * step);
        }
    }
    return std::nullopt;
}

std::optional<ipv6_subnet> choose_subnet6(std::string_view seed, const std::vector<ipv6_subnet>& used) {
    ipv6_subnet candidate{.base = {}, .length = 64};
    std::uint64_t id = stable_hash(seed);
    candidate.base.bytes[0] = 0xfd; // RFC 4193 3.1: locally assigned
    for (std::size_t at = 1; at < 6; ++at, id >>= 8U)
        candidate.base.bytes[at] = static_cast<std::uint8_t>(id & 255U);
    for (unsigned number = 0; number <= 0xffffU; ++number) {
        candidate.base.bytes[6] = static_cast<std::uint8_t>(number >> 8U);
        candidate.base.bytes[7] = static_cast<std::uint8_t>(number & 255U);
        if (std::none_of(used.begin(), used.end(),
                [&](const ipv6_subnet& other) { return other.overlaps(candidate); }))
            return candidate;
    }
    return std::nullopt;
}

} // namespace engine
