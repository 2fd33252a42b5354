#pragma once

#include "engine/network/address.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace engine {

struct attachment;

/// Who may be meant by a name or an address: the containers that have it on any network, running or not. So a
/// question costs the same beside ten containers and beside ten thousand.
///
/// Points to the caller's attachments: each is to be removed before its endpoints change or it goes.
class name_index {
  public:
    void add(const attachment& of);
    /// Requires: as it was added.
    void remove(const attachment& of);

    /// Those that have the alias `name`, or that are ALIAS.NETWORK by their alias: whether the network fits
    /// is for the caller to see. Each once, in no order.
    std::vector<const attachment*> called(std::string_view name) const;
    std::vector<const attachment*> at(const ip_address& address) const;

  private:
    struct hash : std::hash<std::string_view> {
        using is_transparent = void;
    };

    std::unordered_multimap<std::string, const attachment*, hash, std::equal_to<>> by_alias_;
    std::multimap<ip_address, const attachment*> by_address_;
};

} // namespace engine
