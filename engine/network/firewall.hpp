#pragma once

#include "engine/network/address.hpp"
#include "engine/network/port_reservation.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct nft_ctx;

namespace engine {

/// Bits of a packet's mark, set where it is forwarded, for the rules of other_firewalls: what containers send
/// to one another or to the outside, and all that answers; and what comes from outside to a published port.
constexpr std::uint32_t mark_of_ours = 0x10000000;
constexpr std::uint32_t mark_of_entering = 0x20000000;
/// What one container sends to another, or to itself, by a published port.
constexpr std::uint32_t mark_of_hairpin = 0x40000000;

/// A bridge as the firewall sees it.
struct firewall_network {
    std::string bridge;
    bool internal = false;
    bool masquerade = true; // what leaves it by IPv4 bears this host's address
    bool masquerade6 = true;
};

/// A published port and where it leads.
struct firewall_port {
    published_port port;
    // Of the other family than the port's: the container's shim passes it on. The same: it is open there.
    ip_address container;
};

/// All that the table holds: its content is a function of this value.
struct firewall_state {
    std::vector<firewall_network> networks;
    std::vector<firewall_port> ports;
};

/// Our nftables tables `ip NAME` and, where the kernel has IPv6, `ip6 NAME`: one static skeleton, loaded in
/// one transaction, to which networks and ports only add elements of sets and maps (lookups stay O(1), the
/// rules stay reviewable). It never touches another table. Every call blocks, is one transaction, and throws
/// error{internal} with nft's words when it was refused.
class firewall {
  public:
    explicit firewall(std::string table, bool ipv6 = true);
    ~firewall();

    /// Replaces both tables in one transaction: no packet meets a half of it.
    void load(const firewall_state& state);

    /// What apply() is given; texts of several changes may follow one another.
    std::string adding(const firewall_network& network) const;
    std::string removing(const firewall_network& network) const;
    std::string adding(const std::vector<firewall_port>& ports) const;
    std::string removing(const std::vector<firewall_port>& ports) const;
    /// One transaction, however much it changes: nft reads the sets that it touches each time.
    void apply(const std::string& commands);

    /// Deletes the tables; no error when there are none.
    void unload();

    /// The text that load() gives to nft: tests and `composed --check` show it.
    std::string render(const firewall_state& state) const;

  private:
    struct deleter {
        void operator()(nft_ctx* context) const noexcept;
    };
    std::string table_;
    bool ipv6_;
    std::unique_ptr<nft_ctx, deleter> context_;
};

} // namespace engine
