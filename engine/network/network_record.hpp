#pragma once

#include "engine/network/address.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace engine {

/// A network as it was asked for. Subnet and gateway are chosen by the engine where they are left out.
struct network_definition {
    std::string name; // on this host
    std::string project;
    std::string key; // in the project's file
    std::map<std::string, std::string> labels;
    bool internal = false;
    std::optional<ipv4_subnet> subnet;
    std::optional<ipv4_address> gateway;
    std::optional<ipv4_subnet> range;

    bool operator==(const network_definition&) const = default;
};

/// A network as it is kept in the store (table::network, key: its name). The bridge may be missing at any
/// moment; the record says how to make it again.
struct network_record {
    std::string id; // 64 hex digits
    network_definition definition;
    ipv4_subnet subnet;
    ipv4_address gateway;
    std::string bridge;
    std::string created; // RFC 3339
};

std::string encode(const network_record& record);
/// Throws error{invalid} naming the record when the text is none.
network_record decode_network(std::string_view key, std::string_view text);

} // namespace engine
