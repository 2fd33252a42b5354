#include "engine/container/user.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace engine {

namespace {

constexpr std::uint32_t max_id = 0x7fffffff; // as moby: the upper half is refused

std::optional<std::uint32_t> number(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size() || value > max_id)
        return std::nullopt;
    return value;
}

std::string_view next(std::string_view& rest, char separator) {
    const std::size_t at = rest.find(separator);
    const std::string_view part = rest.substr(0, at);
    rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
    return part;
}

struct passwd_entry {
    std::string_view name;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::string_view home;
};

struct group_entry {
    std::string_view name;
    std::uint32_t gid = 0;
    std::string_view members;
};

// Fields of the lines that have at least `Count` of them; others are passed over as libc does.
template <std::size_t Count, typename Function>
void each_line(std::string_view text, Function function) {
    while (!text.empty()) {
        std::string_view line = next(text, '\n');
        std::array<std::string_view, Count> fields;
        std::size_t count = 0;
        while (count < Count && !line.empty())
            fields[count++] = next(line, ':');
        if (count >= 3 && !fields[0].empty())
            function(fields);
    }
}

std::vector<passwd_entry> parse_passwd(std::string_view text) {
    std::vector<passwd_entry> entries;
    each_line<7>(text, [&](const std::array<std::string_view, 7>& fields) {
        const auto uid = number(fields[2]);
        const auto gid = number(fields[3]);
        if (uid && gid)
            entries.push_back({.name = fields[0], .uid = *uid, .gid = *gid, .home = fields[5]});
    });
    return entries;
}

std::vector<group_entry> parse_group(std::string_view text) {
    std::vector<group_entry> entries;
    each_line<4>(text, [&](const std::array<std::string_view, 4>& fields) {
        if (const auto gid = number(fields[2]))
            entries.push_back({.name = fields[0], .gid = *gid, .members = fields[3]});
    });
    return entries;
}

bool lists(std::string_view members, std::string_view user) {
    while (!members.empty())
        if (next(members, ',') == user)
            return true;
    return false;
}

// A name wins over a number, as in Docker: a user may be called 1000.
std::uint32_t group_number(std::string_view wanted, const std::vector<group_entry>& groups) {
    for (const group_entry& each : groups)
        if (each.name == wanted)
            return each.gid;
    if (const auto gid = number(wanted))
        return *gid;
    throw compose::error(compose::error_kind::invalid,
        fmt::format("group \"{}\" is not in /etc/group of the image: use one that is, or a number", wanted));
}

} // namespace

resolved_user resolve_user(std::string_view user, const std::vector<std::string>& group_add,
    std::string_view passwd, std::string_view group) {
    const std::vector<passwd_entry> users = parse_passwd(passwd);
    const std::vector<group_entry> groups = parse_group(group);
    std::string_view rest = user;
    std::string_view name = next(rest, ':');
    const std::string_view wanted_group = rest;

    resolved_user result;
    std::string_view login;
    const auto take = [&](const passwd_entry& entry) {
        result.uid = entry.uid;
        result.gid = entry.gid;
        result.home = entry.home.empty() ? "/" : entry.home;
        login = entry.name;
    };
    const auto by_name =
        std::find_if(users.begin(), users.end(), [&](const passwd_entry& each) { return each.name == name; });
    const auto uid = name.empty() ? std::optional<std::uint32_t>(0) : number(name);
    const auto by_number = std::find_if(
        users.begin(), users.end(), [&](const passwd_entry& each) { return uid && each.uid == *uid; });
    if (!name.empty() && by_name != users.end())
        take(*by_name);
    else if (by_number != users.end())
        take(*by_number);
    else if (uid)
        result.uid = *uid;
    else
        throw compose::error(compose::error_kind::invalid,
            fmt::format(
                "user \"{}\" is not in /etc/passwd of the image: use one that is, or a number", name));

    if (!wanted_group.empty())
        result.gid = group_number(wanted_group, groups);
    else
        for (const group_entry& each : groups)
            if (!login.empty() && lists(each.members, login))
                result.groups.push_back(each.gid);
    // The primary one too: a program that drops it by setgid must not lose what negative permissions deny it
    // (CVE-2022-36109).
    result.groups.push_back(result.gid);
    for (const std::string& each : group_add)
        result.groups.push_back(group_number(each, groups));
    std::sort(result.groups.begin(), result.groups.end());
    result.groups.erase(std::unique(result.groups.begin(), result.groups.end()), result.groups.end());
    return result;
}

} // namespace engine
