#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace engine {

/// Where a registry sends its clients for a token (WWW-Authenticate: Bearer …, RFC 6750 and the distribution
/// specification).
struct auth_challenge {
    std::string realm; // URL
    std::string service;
    std::string scope;
};

/// Nothing for another scheme, Basic for instance, and for a broken header.
std::optional<auth_challenge> parse_challenge(std::string_view header);

} // namespace engine
