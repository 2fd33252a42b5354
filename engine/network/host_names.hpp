#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace engine {

/// FNV-1a: stable over releases and machines, spreads well, keeps nothing secret.
std::uint64_t stable_hash(std::string_view text) noexcept;

/// The names that an instance uses on the host; each at most 15 characters, as IFNAMSIZ asks.
class host_names {
  public:
    explicit host_names(std::string_view instance);

    std::string bridge(std::string_view network_id) const;
    /// Another one each run (`pid` is that of the shim): the kernel takes its time to clear the former away.
    std::string veth(std::string_view container_id, unsigned index, pid_t pid) const;
    /// What our bridges bear as IFLA_IFALIAS, also those whose name was given.
    std::string alias() const;
    /// nftables identifiers have no dots and dashes.
    std::string table() const;

    /// True for interfaces that this instance made.
    bool is_ours(std::string_view interface) const noexcept;
    bool is_bridge(std::string_view interface) const noexcept;

  private:
    std::string instance_;
    std::string tag_; // 5 hex digits of the instance's name
};

} // namespace engine
