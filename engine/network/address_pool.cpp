#include "engine/network/address_pool.hpp"

#include <algorithm>

namespace engine {

address_pool::address_pool(ipv4_subnet subnet, ipv4_address gateway, std::optional<ipv4_subnet> range)
    : subnet_(subnet), gateway_(gateway), range_(range.value_or(subnet)), next_(range_.base) {}

bool address_pool::is_host(ipv4_address address) const noexcept {
    return subnet_.contains(address) && address != subnet_.base && address != subnet_.last() &&
           address != gateway_;
}

std::optional<ipv4_address> address_pool::allocate() {
    // 64 bits, as the size of 0.0.0.0/0 has 33.
    const std::uint64_t size = std::uint64_t{range_.last().value} - range_.base.value + 1;
    for (std::uint64_t tried = 0; tried < size; ++tried) {
        const ipv4_address candidate = next_;
        next_ = candidate == range_.last() ? range_.base : ipv4_address{candidate.value + 1};
        if (take(candidate))
            return candidate;
    }
    return std::nullopt;
}

bool address_pool::take(ipv4_address address) {
    return is_host(address) && taken_.insert(address).second;
}

void address_pool::give_back(ipv4_address address) {
    taken_.erase(address);
}

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

} // namespace engine
