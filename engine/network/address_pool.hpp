#pragma once

#include "engine/network/address.hpp"

#include <optional>
#include <set>
#include <vector>

namespace engine {

/// The addresses of one subnet. Pure: it knows only what it is told was taken. The network's own address, the
/// broadcast address and the gateway are never given out.
///
/// Next-fit: an address that was given back is not used again before all others were, as peers may still hold
/// it in their caches.
class address_pool {
  public:
    /// `range` narrows what is given out by itself (`ip_range`); take() reaches the whole subnet.
    address_pool(ipv4_subnet subnet, ipv4_address gateway, std::optional<ipv4_subnet> range = std::nullopt);

    /// A free address, or nothing when all are taken.
    std::optional<ipv4_address> allocate();

    /// Takes a given address. False when it is taken already or no host address of the subnet.
    bool take(ipv4_address address);
    void give_back(ipv4_address address);

    bool is_host(ipv4_address address) const noexcept;
    std::size_t taken() const noexcept { return taken_.size(); }

  private:
    ipv4_subnet subnet_;
    ipv4_address gateway_;
    ipv4_subnet range_;
    ipv4_address next_;
    std::set<ipv4_address> taken_;
};

/// The first subnet of `length` bits in `pools`, in their order, that overlaps none of `used`; nothing when
/// there is none left.
std::optional<ipv4_subnet> choose_subnet(
    const std::vector<ipv4_subnet>& pools, unsigned length, const std::vector<ipv4_subnet>& used);

} // namespace engine
