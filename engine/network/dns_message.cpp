#include "engine/network/dns_message.hpp"

#include <arpa/inet.h>
#include <ldns/ldns.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <memory>

namespace engine {

namespace {

struct packet_deleter {
    void operator()(ldns_pkt* packet) const noexcept { ::ldns_pkt_free(packet); }
};
using packet_ptr = std::unique_ptr<ldns_pkt, packet_deleter>;

constexpr std::size_t header_size = 12;
// RFC 6891: below 512 is treated as 512; ours reads no more than a jumbo datagram.
constexpr std::size_t least_size = 512;
constexpr std::size_t most_size = 4096;

packet_ptr parse(std::span<const std::uint8_t> message) {
    ldns_pkt* packet = nullptr;
    if (message.size() < header_size ||
        ::ldns_wire2pkt(&packet, message.data(), message.size()) != LDNS_STATUS_OK)
        return nullptr;
    return packet_ptr(packet);
}

dns_bytes to_wire(const ldns_pkt* packet) {
    std::uint8_t* wire = nullptr;
    std::size_t size = 0;
    if (::ldns_pkt2wire(&wire, packet, &size) != LDNS_STATUS_OK)
        return {};
    const std::unique_ptr<std::uint8_t, decltype(&::free)> owner(wire, &::free);
    return {wire, wire + size};
}

void add_record(
    ldns_pkt* packet, const ldns_rr* question, ldns_rr_type type, std::initializer_list<ldns_rdf*> data) {
    ldns_rr* record = ::ldns_rr_new();
    ::ldns_rr_set_owner(record, ::ldns_rdf_clone(::ldns_rr_owner(question)));
    ::ldns_rr_set_type(record, type);
    ::ldns_rr_set_class(record, LDNS_RR_CLASS_IN);
    ::ldns_rr_set_ttl(record, dns_ttl_seconds);
    for (ldns_rdf* each : data)
        ::ldns_rr_push_rdf(record, each);
    ::ldns_pkt_push_rr(packet, LDNS_SECTION_ANSWER, record);
}

ldns_rdf* number(std::uint16_t value) {
    return ::ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, value);
}

void add_answers(ldns_pkt* packet, const ldns_rr* question, const dns_records& records) {
    for (const ipv4_address address : records.addresses) {
        const std::uint32_t wire = htonl(address.value);
        add_record(packet, question, LDNS_RR_TYPE_A,
            {::ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, sizeof(wire), &wire)});
    }
    for (const ipv6_address& address : records.addresses6)
        add_record(packet, question, LDNS_RR_TYPE_AAAA,
            {::ldns_rdf_new_frm_data(LDNS_RDF_TYPE_AAAA, address.bytes.size(), address.bytes.data())});
    for (const std::string& name : records.names)
        if (ldns_rdf* target = ::ldns_dname_new_frm_str(name.c_str()))
            add_record(packet, question, LDNS_RR_TYPE_PTR, {target});
    for (const dns_service& service : records.services)
        if (ldns_rdf* host = ::ldns_dname_new_frm_str(service.host.c_str()))
            add_record(
                packet, question, LDNS_RR_TYPE_SRV, {number(0), number(0), number(service.port), host});
}

} // namespace

namespace {

dns_code refusal_of(const ldns_pkt* packet) {
    if (::ldns_pkt_get_opcode(packet) != LDNS_PACKET_QUERY)
        return dns_code::not_implemented;
    if (::ldns_pkt_edns_version(packet) > 0)
        return dns_code::bad_version;
    if (::ldns_pkt_qdcount(packet) != 1)
        return dns_code::format_error;
    const ldns_rr* asked = ::ldns_rr_list_rr(::ldns_pkt_question(packet), 0);
    if (asked == nullptr)
        return dns_code::format_error;
    return ::ldns_rr_get_class(asked) == LDNS_RR_CLASS_IN ? dns_code::no_error : dns_code::refused;
}

} // namespace

std::optional<dns_question> parse_query(std::span<const std::uint8_t> message) {
    const packet_ptr packet = parse(message);
    if (!packet || ::ldns_pkt_qr(packet.get()))
        return std::nullopt;
    dns_question question;
    question.id = ::ldns_pkt_id(packet.get());
    question.size_limit =
        std::clamp<std::size_t>(::ldns_pkt_edns_udp_size(packet.get()), least_size, most_size);
    question.refusal = refusal_of(packet.get());
    if (question.refusal != dns_code::no_error)
        return question;
    const ldns_rr* asked = ::ldns_rr_list_rr(::ldns_pkt_question(packet.get()), 0);
    const std::unique_ptr<char, decltype(&::free)> text(::ldns_rdf2str(::ldns_rr_owner(asked)), &::free);
    question.name = text ? text.get() : "";
    if (question.name.ends_with('.'))
        question.name.pop_back();
    std::transform(question.name.begin(), question.name.end(), question.name.begin(),
        [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    question.type = static_cast<std::uint16_t>(::ldns_rr_get_type(asked));
    return question;
}

namespace {

/// RFC 3596 2.5: the digits of the address from the last to the first, a dot between each two.
std::optional<ipv6_address> address_of_nibbles(std::string_view digits) {
    constexpr std::size_t count = 32;
    ipv6_address address;
    if (digits.size() != 2 * count - 1)
        return std::nullopt;
    for (std::size_t at = 0; at < count; ++at) {
        unsigned value = 0;
        const char* digit = digits.data() + 2 * at;
        const auto [end, failed] = std::from_chars(digit, digit + 1, value, 16);
        if (failed != std::errc() || (at + 1 < count && digit[1] != '.'))
            return std::nullopt;
        const std::size_t from_front = count - 1 - at;
        const unsigned shift = from_front % 2 == 0 ? 4 : 0;
        address.bytes[from_front / 2] =
            static_cast<std::uint8_t>(address.bytes[from_front / 2] | value << shift);
    }
    return address;
}

} // namespace

std::optional<ip_address> address_in_ptr(std::string_view name) {
    constexpr std::string_view suffix = ".in-addr.arpa";
    constexpr std::string_view suffix6 = ".ip6.arpa";
    if (name.ends_with(suffix6)) {
        const auto address = address_of_nibbles(name.substr(0, name.size() - suffix6.size()));
        return address ? std::optional<ip_address>(*address) : std::nullopt;
    }
    if (!name.ends_with(suffix))
        return std::nullopt;
    name.remove_suffix(suffix.size());
    const auto reversed = parse_ipv4(name);
    if (!reversed)
        return std::nullopt;
    return ipv4_address{::ntohl(reversed->value)};
}

namespace {

/// The header, the question and the OPT record that answer `asked`.
packet_ptr begin_answer(const ldns_pkt* asked, dns_code code) {
    packet_ptr answer(::ldns_pkt_new());
    ::ldns_pkt_set_id(answer.get(), ::ldns_pkt_id(asked));
    ::ldns_pkt_set_qr(answer.get(), true);
    ::ldns_pkt_set_opcode(answer.get(), ::ldns_pkt_get_opcode(asked));
    ::ldns_pkt_set_rd(answer.get(), ::ldns_pkt_rd(asked));
    ::ldns_pkt_set_ra(answer.get(), true);
    const auto bits = static_cast<unsigned>(code);
    ::ldns_pkt_set_rcode(answer.get(), static_cast<std::uint8_t>(bits & 15U));
    if (::ldns_pkt_edns(asked)) {
        ::ldns_pkt_set_edns_udp_size(answer.get(), most_size);
        ::ldns_pkt_set_edns_extended_rcode(answer.get(), static_cast<std::uint8_t>(bits >> 4U));
    }
    if (::ldns_pkt_qdcount(asked) == 1)
        if (const ldns_rr* question = ::ldns_rr_list_rr(::ldns_pkt_question(asked), 0))
            ::ldns_pkt_push_rr(answer.get(), LDNS_SECTION_QUESTION, ::ldns_rr_clone(question));
    return answer;
}

/// `answer` with so many of its records as `limit` takes. Who does not ask again over TCP has these at least,
/// and of addresses any will do.
dns_bytes cut(ldns_pkt* answer, std::size_t limit) {
    ldns_rr_list* records = ::ldns_pkt_answer(answer);
    ::ldns_pkt_set_tc(answer, true);
    const auto keep = [&](std::size_t count) {
        ::ldns_rr_list_set_rr_count(records, count);
        ::ldns_pkt_set_ancount(answer, static_cast<std::uint16_t>(count));
    };
    const std::size_t all = ::ldns_rr_list_rr_count(records);
    std::size_t fits = 0;
    std::size_t too_many = all;
    dns_bytes wire;
    while (fits + 1 < too_many) {
        const std::size_t half = fits + (too_many - fits) / 2;
        keep(half);
        wire = to_wire(answer);
        (wire.size() <= limit ? fits : too_many) = half;
    }
    keep(fits);
    wire = to_wire(answer);
    keep(all); // they are freed with it
    return wire;
}

} // namespace

dns_bytes make_answer(
    std::span<const std::uint8_t> query, dns_code code, const dns_records& records, std::size_t limit) {
    const packet_ptr asked = parse(query);
    if (!asked)
        return {};
    const packet_ptr answer = begin_answer(asked.get(), code);
    if (const ldns_rr* question = ::ldns_rr_list_rr(::ldns_pkt_question(answer.get()), 0))
        add_answers(answer.get(), question, records);
    dns_bytes wire = to_wire(answer.get());
    return wire.size() <= limit ? wire : cut(answer.get(), limit);
}

dns_bytes with_length(std::span<const std::uint8_t> message) {
    dns_bytes framed(2 + message.size());
    framed[0] = static_cast<std::uint8_t>(message.size() >> 8U);
    framed[1] = static_cast<std::uint8_t>(message.size() & 255U);
    std::copy(message.begin(), message.end(), framed.begin() + 2);
    return framed;
}

void set_id(std::span<std::uint8_t> message, std::uint16_t id) noexcept {
    if (message.size() < header_size)
        return;
    message[0] = static_cast<std::uint8_t>(id >> 8U);
    message[1] = static_cast<std::uint8_t>(id & 255U);
}

std::uint16_t id_of(std::span<const std::uint8_t> message) noexcept {
    return message.size() < 2 ? std::uint16_t{0} : static_cast<std::uint16_t>(message[0] << 8U | message[1]);
}

} // namespace engine
