#include "api/http/query.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>

#include <cctype>
#include <charconv>

namespace api {

using compose::error;
using compose::error_kind;

namespace {

// Numbers are counts and seconds; as nanoseconds these must fit into 64 bits.
constexpr long most = 9'000'000'000;

} // namespace

std::string percent_decode(std::string_view text, bool plus) {
    std::string decoded;
    for (std::size_t at = 0; at < text.size(); ++at) {
        unsigned value = 0;
        if (text[at] == '%' && at + 2 < text.size() + 0 &&
            std::from_chars(text.data() + at + 1, text.data() + at + 3, value, 16).ptr ==
                text.data() + at + 3) {
            decoded += static_cast<char>(value);
            at += 2;
        } else {
            decoded += plus && text[at] == '+' ? ' ' : text[at];
        }
    }
    return decoded;
}

std::string percent_encode(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        const bool plain =
            std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
        encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return encoded;
}

target& target::with(std::string_view name, std::string_view value) {
    text_ += std::exchange(has_query_, true) ? '&' : '?';
    text_.append(name).append("=").append(percent_encode(value));
    return *this;
}

query::query(std::string_view text) {
    while (!text.empty()) {
        const auto end = text.find('&');
        const std::string_view part = text.substr(0, end);
        const auto equals = part.find('=');
        const std::string value =
            equals == std::string_view::npos ? "1" : percent_decode(part.substr(equals + 1), true);
        if (!part.empty())
            values_[percent_decode(part.substr(0, equals), true)] = value;
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
}

std::string query::text(const std::string& name, std::string otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : found->second;
}

bool query::flag(const std::string& name, bool otherwise) const {
    const auto found = values_.find(name);
    if (found == values_.end())
        return otherwise;
    const std::string& value = found->second;
    if (value == "1" || value == "true" || value == "yes")
        return true;
    if (value == "0" || value == "false" || value == "no")
        return false;
    throw error(error_kind::invalid, fmt::format("query \"{}\": \"{}\" is not true or false", name, value));
}

std::optional<long> query::number(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end())
        return std::nullopt;
    const std::string& value = found->second;
    long number = 0;
    const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (value.empty() || failed != std::errc() || end != value.data() + value.size() || number < 0)
        throw error(error_kind::invalid, fmt::format("query \"{}\": \"{}\" is no number", name, value));
    if (number > most)
        throw error(error_kind::invalid, fmt::format("query \"{}\": {} is more than {}", name, number, most));
    return number;
}

std::optional<std::chrono::system_clock::time_point> query::time(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end())
        return std::nullopt;
    const std::string& value = found->second;
    const auto dot = std::min(value.find('.'), value.size());
    std::string fraction = value.substr(std::min(dot + 1, value.size()));
    const auto is_digits = [](const std::string& text) {
        return text.find_first_not_of("0123456789") == std::string::npos;
    };
    const std::string whole = value.substr(0, dot);
    if (whole.empty() || whole.size() > 10 || fraction.size() > 9 || !is_digits(whole) ||
        !is_digits(fraction))
        throw error(error_kind::invalid,
            fmt::format("query \"{}\": \"{}\" is no number of seconds since 1970", name, value));
    fraction.resize(9, '0');
    return std::chrono::system_clock::time_point(
        std::chrono::seconds(std::stoll(whole)) + std::chrono::nanoseconds(std::stoll(fraction)));
}

std::set<std::string> query::list(const std::string& name) const {
    std::set<std::string> items;
    std::string_view rest = values_.contains(name) ? std::string_view(values_.at(name)) : std::string_view();
    while (!rest.empty()) {
        const auto comma = rest.find(',');
        if (comma != 0)
            items.emplace(rest.substr(0, comma));
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
    return items;
}

} // namespace api
