#include "engine/network/address.hpp"

#include <fmt/format.h>

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

std::optional<ipv4_subnet> parse_subnet(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos)
        return std::nullopt;
    const auto base = parse_ipv4(text.substr(0, slash));
    const std::string_view digits = text.substr(slash + 1);
    unsigned length = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (!base || failed != std::errc() || end != digits.data() + digits.size() || length < 1 || length > 30)
        return std::nullopt;
    const ipv4_subnet subnet{.base = *base, .length = length};
    if ((base->value & subnet.mask()) != base->value)
        return std::nullopt;
    return subnet;
}

std::string to_string(ipv4_address address) {
    const std::uint32_t value = address.value;
    return fmt::format("{}.{}.{}.{}", value >> 24U, value >> 16U & 255U, value >> 8U & 255U, value & 255U);
}

std::string to_string(const ipv4_subnet& subnet) {
    return fmt::format("{}/{}", to_string(subnet.base), subnet.length);
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
