#include "engine/network/dns_message.hpp"

#include <arpa/inet.h>
#include <ldns/ldns.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
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

void add_record(ldns_pkt* packet, const ldns_rr* question, ldns_rr_type type, ldns_rdf* data) {
    ldns_rr* record = ::ldns_rr_new();
    ::ldns_rr_set_owner(record, ::ldns_rdf_clone(::ldns_rr_owner(question)));
    ::ldns_rr_set_type(record, type);
    ::ldns_rr_set_class(record, LDNS_RR_CLASS_IN);
    ::ldns_rr_set_ttl(record, dns_ttl_seconds);
    ::ldns_rr_push_rdf(record, data);
    ::ldns_pkt_push_rr(packet, LDNS_SECTION_ANSWER, record);
}

void add_answers(ldns_pkt* packet, const ldns_rr* question, const std::vector<ipv4_address>& addresses,
    const std::vector<std::string>& names) {
    for (const ipv4_address address : addresses) {
        const std::uint32_t wire = htonl(address.value);
        add_record(
            packet, question, LDNS_RR_TYPE_A, ::ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, sizeof(wire), &wire));
    }
    for (const std::string& name : names)
        if (ldns_rdf* target = ::ldns_dname_new_frm_str(name.c_str()))
            add_record(packet, question, LDNS_RR_TYPE_PTR, target);
}

} // namespace

std::optional<dns_question> parse_query(std::span<const std::uint8_t> message) {
    const packet_ptr packet = parse(message);
    if (!packet || ::ldns_pkt_qr(packet.get()) || ::ldns_pkt_get_opcode(packet.get()) != LDNS_PACKET_QUERY ||
        ::ldns_pkt_qdcount(packet.get()) != 1)
        return std::nullopt;
    const ldns_rr* asked = ::ldns_rr_list_rr(::ldns_pkt_question(packet.get()), 0);
    if (asked == nullptr || ::ldns_rr_get_class(asked) != LDNS_RR_CLASS_IN)
        return std::nullopt;
    const std::unique_ptr<char, decltype(&::free)> text(::ldns_rdf2str(::ldns_rr_owner(asked)), &::free);
    dns_question question;
    question.id = ::ldns_pkt_id(packet.get());
    question.name = text ? text.get() : "";
    if (question.name.ends_with('.'))
        question.name.pop_back();
    std::transform(question.name.begin(), question.name.end(), question.name.begin(),
        [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    question.type = static_cast<std::uint16_t>(::ldns_rr_get_type(asked));
    question.size_limit =
        std::clamp<std::size_t>(::ldns_pkt_edns_udp_size(packet.get()), least_size, most_size);
    return question;
}

std::optional<ipv4_address> address_in_ptr(std::string_view name) {
    constexpr std::string_view suffix = ".in-addr.arpa";
    if (!name.ends_with(suffix))
        return std::nullopt;
    name.remove_suffix(suffix.size());
    const auto reversed = parse_ipv4(name);
    if (!reversed)
        return std::nullopt;
    return ipv4_address{::ntohl(reversed->value)};
}

dns_bytes make_answer(std::span<const std::uint8_t> query, dns_code code,
    const std::vector<ipv4_address>& addresses, const std::vector<std::string>& names, std::size_t limit) {
    const packet_ptr asked = parse(query);
    if (!asked || ::ldns_pkt_qdcount(asked.get()) != 1)
        return {};
    const packet_ptr answer(::ldns_pkt_new());
    ::ldns_pkt_set_id(answer.get(), ::ldns_pkt_id(asked.get()));
    ::ldns_pkt_set_qr(answer.get(), true);
    ::ldns_pkt_set_rd(answer.get(), ::ldns_pkt_rd(asked.get()));
    ::ldns_pkt_set_ra(answer.get(), true);
    ::ldns_pkt_set_rcode(answer.get(), static_cast<std::uint8_t>(code));
    const ldns_rr* question = ::ldns_rr_list_rr(::ldns_pkt_question(asked.get()), 0);
    ::ldns_pkt_push_rr(answer.get(), LDNS_SECTION_QUESTION, ::ldns_rr_clone(question));
    add_answers(answer.get(), question, addresses, names);
    dns_bytes wire = to_wire(answer.get());
    if (wire.size() <= limit)
        return wire;
    // RFC 2181 9: a truncated answer is asked again over TCP, so what of it is kept does not matter.
    ::ldns_pkt_set_tc(answer.get(), true);
    while (ldns_rr* record = ::ldns_rr_list_pop_rr(::ldns_pkt_answer(answer.get())))
        ::ldns_rr_free(record);
    ::ldns_pkt_set_ancount(answer.get(), 0);
    return to_wire(answer.get());
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
