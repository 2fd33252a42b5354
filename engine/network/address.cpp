#include "engine/network/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/ethernet.h>
#include <netinet/ether.h>

#include <algorithm>
#include <charconv>

namespace engine {

std::optional<ipv4_address> parse_ipv4(std::string_view text) {
    std::uint32_t value = 0;
    for (int part = 0; part < 4; ++part) {
        unsigned number = 0;
        const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
        const auto length = static_cast<std::size_t>(end - text.data());
        // inet_aton reads a leading zero as octal, others as decimal: refused rather than guessed.
        if (failed != std::errc() || number > 255 || length > 3 || (length > 1 && text[0] == '0'))
            return std::nullopt;
        text.remove_prefix(length);
        value = value << 8U | number;
        if (part < 3) {
            if (!text.starts_with('.'))
                return std::nullopt;
            text.remove_prefix(1);
        }
    }
    if (!text.empty())
        return std::nullopt;
    return ipv4_address{value};
}

ipv6_address ipv6_address::plus(std::uint64_t offset) const noexcept {
    ipv6_address sum = *this;
    for (std::size_t at = sum.bytes.size(); at-- > 0 && offset != 0; offset >>= 8U) {
        offset += sum.bytes[at];
        sum.bytes[at] = static_cast<std::uint8_t>(offset & 255U);
    }
    return sum;
}

bool ipv6_subnet::contains(const ipv6_address& address) const noexcept {
    const std::size_t whole = length / 8;
    if (!std::equal(base.bytes.begin(), base.bytes.begin() + static_cast<std::ptrdiff_t>(whole),
            address.bytes.begin()))
        return false;
    const unsigned rest = length % 8;
    return rest == 0 || (base.bytes[whole] ^ address.bytes[whole]) >> (8U - rest) == 0;
}

ipv6_subnet subnet_of(const ipv6_address& address, unsigned length) noexcept {
    ipv6_subnet subnet{.base = address, .length = length};
    for (unsigned bit = length; bit < 128; ++bit)
        subnet.base.bytes[bit / 8] =
            static_cast<std::uint8_t>(subnet.base.bytes[bit / 8] & ~(128U >> bit % 8));
    return subnet;
}

std::optional<ipv6_address> parse_ipv6(std::string_view text) {
    ipv6_address address;
    if (::inet_pton(AF_INET6, std::string(text).c_str(), address.bytes.data()) != 1)
        return std::nullopt;
    return address;
}

std::optional<ip_address> parse_ip(std::string_view text) {
    if (const auto four = parse_ipv4(text))
        return *four;
    if (const auto six = parse_ipv6(text))
        return *six;
    return std::nullopt;
}

namespace {

/// What is behind the slash.
std::optional<unsigned> prefix_length(std::string_view digits, unsigned most) {
    unsigned length = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (failed != std::errc() || end != digits.data() + digits.size() || length < 1 || length > most)
        return std::nullopt;
    return length;
}

std::optional<ipv6_subnet> parse_prefix6(std::string_view text, unsigned most) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos)
        return std::nullopt;
    const auto base = parse_ipv6(text.substr(0, slash));
    const auto length = prefix_length(text.substr(slash + 1), most);
    if (!base || !length)
        return std::nullopt;
    const ipv6_subnet subnet = subnet_of(*base, *length);
    if (subnet.base != *base)
        return std::nullopt;
    return subnet;
}

std::optional<ipv4_subnet> parse_prefix(std::string_view text, unsigned most) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos)
        return std::nullopt;
    const auto base = parse_ipv4(text.substr(0, slash));
    const auto length = prefix_length(text.substr(slash + 1), most);
    if (!base || !length)
        return std::nullopt;
    const ipv4_subnet subnet{.base = *base, .length = *length};
    if ((base->value & subnet.mask()) != base->value)
        return std::nullopt;
    return subnet;
}

} // namespace

std::optional<ipv4_subnet> parse_subnet(std::string_view text) {
    return parse_prefix(text, 30);
}

std::optional<ipv4_subnet> parse_range(std::string_view text) {
    return parse_prefix(text, 32);
}

std::optional<ipv6_subnet> parse_subnet6(std::string_view text) {
    return parse_prefix6(text, 126);
}

std::optional<ipv6_subnet> parse_range6(std::string_view text) {
    return parse_prefix6(text, 128);
}

std::string to_string(ipv4_address address) {
    const std::uint32_t value = address.value;
    return fmt::format("{}.{}.{}.{}", value >> 24U, value >> 16U & 255U, value >> 8U & 255U, value & 255U);
}

std::string to_string(const ipv4_subnet& subnet) {
    return fmt::format("{}/{}", to_string(subnet.base), subnet.length);
}

std::string to_string(const ipv6_address& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(AF_INET6, address.bytes.data(), text.data(), text.size());
    return text.data();
}

std::string to_string(const ipv6_subnet& subnet) {
    return fmt::format("{}/{}", to_string(subnet.base), subnet.length);
}

std::string to_string(const ip_address& address) {
    return std::visit([](const auto& of) { return to_string(of); }, address);
}

bool is_any(const ip_address& address) noexcept {
    const auto* four = std::get_if<ipv4_address>(&address);
    return four != nullptr ? four->value == 0 : std::get<ipv6_address>(address) == ipv6_address();
}

bool is_loopback(const ip_address& address) noexcept {
    constexpr unsigned first_byte = 24; // bits below it
    const auto* four = std::get_if<ipv4_address>(&address);
    return four != nullptr ? four->value >> first_byte == 127
                           : std::get<ipv6_address>(address) == ipv6_address().plus(1);
}

mac_address mac_for(const ipv6_address& address) noexcept {
    return {0x02, 0x42, address.bytes[12], address.bytes[13], address.bytes[14], address.bytes[15]};
}

std::optional<mac_address> parse_mac(std::string_view text) {
    ether_addr parsed{};
    if (::ether_aton_r(std::string(text).c_str(), &parsed) == nullptr ||
        (parsed.ether_addr_octet[0] & 1U) != 0)
        return std::nullopt;
    mac_address mac{};
    std::copy(std::begin(parsed.ether_addr_octet), std::end(parsed.ether_addr_octet), mac.begin());
    return mac;
}

mac_address mac_for(ipv4_address address) noexcept {
    const std::uint32_t value = address.value;
    const auto byte = [value](unsigned shift) { return static_cast<std::uint8_t>(value >> shift & 255U); };
    return {0x02, 0x42, byte(24), byte(16), byte(8), byte(0)};
}

std::string to_string(const mac_address& mac) {
    return fmt::format(
        "{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

} // namespace engine
