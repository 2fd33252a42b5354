#pragma once

#include "engine/network/address.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

using dns_bytes = std::vector<std::uint8_t>;

enum class dns_type : std::uint16_t { a = 1, ptr = 12, aaaa = 28, srv = 33, any = 255 };

/// RFC 1035 4.1.1, RFC 6891 9; above 15 the upper bits stand in the OPT record.
enum class dns_code : std::uint8_t {
    no_error = 0,
    format_error = 1,
    server_failure = 2,
    name_error = 3,
    not_implemented = 4,
    refused = 5,
    bad_version = 16
};

/// The part of a query that decides its answer.
struct dns_question {
    std::uint16_t id = 0;
    std::string name; // lower case, without the last dot
    std::uint16_t type = 0;
    std::size_t size_limit = 512;          // what the asker takes over UDP (EDNS)
    dns_code refusal = dns_code::no_error; // else all there is to say: the query is none that we answer
};

/// Nothing for what is no message, or an answer itself: it gets no answer. What is a query, but not one
/// question of class IN in words that we know, is refused by its code.
std::optional<dns_question> parse_query(std::span<const std::uint8_t> message);

/// The address in a name of the form 4.3.2.1.in-addr.arpa, or of 32 hex digits and ip6.arpa.
std::optional<ip_address> address_in_ptr(std::string_view name);

/// Where a service is offered (RFC 2782). Priorities and weights are all the same.
struct dns_service {
    std::uint16_t port = 0;
    std::string host;

    bool operator==(const dns_service&) const = default;
};

/// What an answer holds: A, AAAA, PTR and SRV records, all for the name that was asked.
struct dns_records {
    std::vector<ipv4_address> addresses;
    std::vector<ipv6_address> addresses6;
    std::vector<std::string> names;
    std::vector<dns_service> services;

    bool operator==(const dns_records&) const = default;
};

/// Ours answer lives this long in a resolver's cache: names move when containers are made again.
constexpr std::uint32_t dns_ttl_seconds = 2;

/// An answer to `query` (the message as it came), with an OPT record if that has one. No records with
/// no_error says that the name exists but has nothing of that type. Above `limit` bytes it has the records
/// that fit and is marked truncated.
dns_bytes make_answer(
    std::span<const std::uint8_t> query, dns_code code, const dns_records& records, std::size_t limit);

/// A message as it goes over TCP: its length in two bytes before it. Requires: at most 65,535 bytes.
dns_bytes with_length(std::span<const std::uint8_t> message);

/// Sets the id of a message in place; a message of fewer than 12 bytes is left alone.
void set_id(std::span<std::uint8_t> message, std::uint16_t id) noexcept;
std::uint16_t id_of(std::span<const std::uint8_t> message) noexcept;

} // namespace engine
