#include "engine/image/auth_challenge.hpp"

#include <algorithm>
#include <cctype>

namespace engine {

namespace {

std::string_view trim(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == ','; };
    while (!text.empty() && blank(text.front()))
        text.remove_prefix(1);
    return text;
}

bool equal_ignoring_case(std::string_view left, std::string_view right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
        [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

/// Takes a token or a quoted string off the front.
std::optional<std::string> take_value(std::string_view& text) {
    std::string value;
    if (text.empty() || text.front() != '"') {
        const auto end = std::min(text.find_first_of(", \t"), text.size());
        value = text.substr(0, end);
        text.remove_prefix(end);
        return value;
    }
    for (std::size_t at = 1; at < text.size(); ++at) {
        if (text[at] == '"') {
            text.remove_prefix(at + 1);
            return value;
        }
        if (text[at] == '\\' && at + 1 < text.size())
            ++at;
        value += text[at];
    }
    return std::nullopt;
}

} // namespace

std::optional<auth_challenge> parse_challenge(std::string_view header) {
    constexpr std::string_view scheme = "Bearer ";
    header = trim(header);
    if (header.size() < scheme.size() || !equal_ignoring_case(header.substr(0, scheme.size()), scheme))
        return std::nullopt;
    header = trim(header.substr(scheme.size()));
    auth_challenge challenge;
    while (!header.empty()) {
        const auto equals = header.find('=');
        if (equals == std::string_view::npos)
            return std::nullopt;
        const std::string_view key = header.substr(0, equals);
        header.remove_prefix(equals + 1);
        std::optional<std::string> value = take_value(header);
        if (!value)
            return std::nullopt;
        if (equal_ignoring_case(key, "realm"))
            challenge.realm = std::move(*value);
        else if (equal_ignoring_case(key, "service"))
            challenge.service = std::move(*value);
        else if (equal_ignoring_case(key, "scope"))
            challenge.scope = std::move(*value);
        header = trim(header);
    }
    if (challenge.realm.empty())
        return std::nullopt;
    return challenge;
}

} // namespace engine
