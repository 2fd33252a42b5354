#pragma once

#include "engine/network/attachment.hpp"
#include "engine/network/dns_server.hpp"
#include "engine/network/name_index.hpp"
#include "engine/network/network_record.hpp"

#include <sys/types.h>

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace engine {

/// The names around a container: those of the running containers that share a network with it. Pure.
struct dns_zone {
    const std::map<std::string, attachment>& attachments; // by container id
    const name_index& names;                              // of these
    const std::map<std::string, pid_t>& running;          // by container id
    const std::map<std::string, network_record>& networks;
    const std::set<std::string>& draining; // container ids: nobody is led to them

    /// A name of ours without a record of the type asked for is known and empty: with NXDOMAIN or a forwarded
    /// AAAA question, musl and others would give the name up altogether (moby 21712).
    ///
    /// A name of ours that nobody runs by is absent, which is NXDOMAIN: what the asker gets from Docker too,
    /// where the question goes on to a server outside first, which learns the project's names, and keeps the
    /// asker waiting when it cannot be reached. An empty answer would say that the name is there without an
    /// address, and for that programs do not go on to their next search domain. The same goes for addresses
    /// of our subnets.
    dns_answer find(const std::string& asker, std::uint16_t type, const std::string& name) const;

  private:
    dns_answer find_name(const attachment& asker, std::uint16_t type, const std::string& name) const;
    dns_answer find_address(const attachment& asker, const ip_address& address) const;
    bool is_ours(const attachment& asker, std::string_view name) const;
    bool is_ours(const attachment& asker, const ip_address& address) const;
    /// Gives `take` each running container that the asker knows by the name, with the network they share.
    template <typename Take>
    void for_peers(const attachment& asker, std::string_view name, Take take) const;
    bool may_forward(const attachment& asker) const;
    bool is_held_back(const attachment& of) const;
};

} // namespace engine
