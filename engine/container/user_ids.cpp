#include "engine/container/user_ids.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

constexpr std::uint32_t least = 65'536; // ids, and the first of them

std::optional<std::uint32_t> number_of(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || failure != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

std::optional<user_id_range> range_of(std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos)
        return std::nullopt;
    const auto first = number_of(text.substr(0, colon));
    const auto count = number_of(text.substr(colon + 1));
    if (!first || !count)
        return std::nullopt;
    return user_id_range{.first = *first, .count = *count};
}

/// The first line NAME:FIRST:COUNT.
std::optional<user_id_range> range_in(std::string_view file, std::string_view name) {
    while (!file.empty()) {
        const auto end = file.find('\n');
        const std::string_view line = file.substr(0, end);
        file.remove_prefix(end == std::string_view::npos ? file.size() : end + 1);
        if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':')
            return range_of(line.substr(name.size() + 1));
    }
    return std::nullopt;
}

user_id_range range_of_user(std::string_view name, std::string_view subuid, std::string_view subgid) {
    const auto users = range_in(subuid, name);
    const auto groups = range_in(subgid, name);
    for (const auto& [found, file] : {std::pair(users, "/etc/subuid"), std::pair(groups, "/etc/subgid")})
        if (!found)
            throw error(error_kind::invalid, fmt::format("userns_remap: \"{0}\" has no range in {1}; add the "
                                                         "line {0}:100000:65536 to /etc/subuid and "
                                                         "/etc/subgid, or write userns_remap: 100000:65536",
                                                 name, file));
    if (*users != *groups)
        throw error(error_kind::invalid, fmt::format("userns_remap: \"{}\" has {}:{} in /etc/subuid and "
                                                     "{}:{} in /etc/subgid; give it the same in both",
                                             name, users->first, users->count, groups->first, groups->count));
    return *users;
}

} // namespace

user_id_range parse_user_ids(std::string_view text, std::string_view subuid, std::string_view subgid) {
    const auto written = range_of(text);
    if (!written && (text.empty() || text.find(':') != std::string_view::npos))
        throw error(error_kind::invalid,
            fmt::format(
                "userns_remap: \"{}\" is neither a user's name nor FIRST:COUNT like 100000:65536", text));
    const user_id_range found = written ? *written : range_of_user(text, subuid, subgid);
    if (found.first < least || found.count < least || found.count > UINT32_MAX - found.first)
        throw error(error_kind::invalid,
            fmt::format(
                "userns_remap: {}:{} must begin at {} or above and have {} ids or more, like 100000:65536",
                found.first, found.count, least, least));
    return found;
}

} // namespace engine
