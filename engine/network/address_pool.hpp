#pragma once

#include "engine/network/address.hpp"

#include <optional>
#include <set>
#include <string_view>
#include <vector>

namespace engine {

/// The addresses of one subnet (ipv4_subnet or ipv6_subnet). Pure: it knows only what it is told was taken.
/// The network's own address, IPv4's broadcast address and the gateway are never given out.
///
/// Next-fit: an address that was given back is not used again before all others were, as peers may still hold
/// it in their caches.
template <typename Subnet>
class address_pool {
  public:
    using address_type = decltype(Subnet::base);

    /// `range` narrows what is given out by itself (`ip_range`); take() reaches the whole subnet.
    address_pool(Subnet subnet, address_type gateway, std::optional<Subnet> range = std::nullopt);

    /// A free address that is none of `but`, or nothing when there is none.
    std::optional<address_type> allocate(const std::set<address_type>& but = {});

    /// Takes a given address. False when it is taken already or no host address of the subnet.
    bool take(address_type address);
    void give_back(address_type address);

    bool is_host(address_type address) const noexcept;
    address_type gateway() const noexcept { return gateway_; }
    std::size_t taken() const noexcept { return taken_.size(); }

  private:
    Subnet subnet_;
    address_type gateway_;
    Subnet range_;
    address_type next_;
    std::set<address_type> taken_;
};

extern template class address_pool<ipv4_subnet>;
extern template class address_pool<ipv6_subnet>;

/// The first subnet of `length` bits in `pools`, in their order, that overlaps none of `used`; nothing when
/// there is none left.
std::optional<ipv4_subnet> choose_subnet(
    const std::vector<ipv4_subnet>& pools, unsigned length, const std::vector<ipv4_subnet>& used);

/// The first /64 of a /48 of RFC 4193 that overlaps none of `used`; the /48 derives from `seed`, so that two
/// hosts hardly ever have the same.
std::optional<ipv6_subnet> choose_subnet6(std::string_view seed, const std::vector<ipv6_subnet>& used);

} // namespace engine
