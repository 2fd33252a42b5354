#include "compose/cli/table.hpp"

#include "compose/cli/terminal.hpp"
#include "compose/model/error.hpp"
#include "compose/model/units.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <ctime>
#include <map>

namespace compose::cli {

std::string format_table(const std::vector<std::string>& head,
    const std::vector<std::vector<std::string>>& rows, std::size_t narrowest, std::size_t gap) {
    std::vector<std::size_t> widths;
    widths.reserve(head.size());
    for (const std::string& title : head)
        widths.push_back(title.size());
    for (const auto& row : rows)
        for (std::size_t column = 0; column < row.size(); ++column)
            widths[column] = std::max(widths[column], row[column].size());
    std::string text;
    const auto add = [&](const std::vector<std::string>& row) {
        for (std::size_t column = 0; column < row.size(); ++column)
            if (column + 1 < row.size())
                text += fmt::format("{:<{}}", row[column], std::max(widths[column] + gap, narrowest));
            else
                text += row[column];
        text += '\n';
    };
    add(head);
    for (const auto& row : rows) {
        std::vector<std::string> safe;
        safe.reserve(row.size());
        for (const std::string& cell : row)
            safe.push_back(printable(cell));
        add(safe);
    }
    return text;
}

std::chrono::system_clock::time_point parse_time(std::string_view text) {
    std::tm parts{};
    if (::strptime(std::string(text.substr(0, 19)).c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr)
        return {};
    auto time = std::chrono::system_clock::from_time_t(::timegm(&parts));
    if (text.size() > 20 && text[19] == '.')
        time += std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::duration<double>(
            std::strtod(("0" + std::string(text.substr(19))).c_str(), nullptr)));
    return time;
}

std::string human_duration(std::chrono::seconds duration) {
    const auto seconds = duration.count();
    if (seconds < 1)
        return "Less than a second";
    if (seconds == 1)
        return "1 second";
    if (seconds < 60)
        return fmt::format("{} seconds", seconds);
    const auto minutes = seconds / 60;
    if (minutes == 1)
        return "About a minute";
    if (minutes < 60)
        return fmt::format("{} minutes", minutes);
    const auto hours = (seconds + 1800) / 3600;
    if (hours == 1)
        return "About an hour";
    if (hours < 48)
        return fmt::format("{} hours", hours);
    if (hours < 24L * 14)
        return fmt::format("{} days", hours / 24);
    if (hours < 24L * 60)
        return fmt::format("{} weeks", hours / 24 / 7);
    if (hours < 24L * 730)
        return fmt::format("{} months", hours / 24 / 30);
    return fmt::format("{} years", hours / 24 / 365);
}

std::string shortened(const std::string& text, std::size_t most) {
    const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }; // UTF-8
    std::size_t characters = 0;
    std::size_t cut = text.size();
    for (std::size_t at = 0; at < text.size(); ++at) {
        characters += begins(text[at]) ? 1 : 0;
        if (begins(text[at]) && characters == most)
            cut = at;
    }
    return characters <= most ? text : text.substr(0, cut) + "…";
}

std::string quoted(const std::string& text) {
    static const std::map<char, char> letters{{'\a', 'a'}, {'\b', 'b'}, {'\f', 'f'}, {'\n', 'n'}, {'\r', 'r'},
        {'\t', 't'}, {'\v', 'v'}, {'\\', '\\'}, {'"', '"'}};
    std::string all = "\"";
    for (const char each : text) {
        if (const auto found = letters.find(each); found != letters.end())
            all.append("\\").append(1, found->second);
        else if (static_cast<unsigned char>(each) < ' ' || each == '\x7F')
            all += fmt::format("\\x{:02x}", static_cast<unsigned char>(each));
        else
            all += each;
    }
    return all + "\"";
}

std::string human_binary(double bytes) {
    constexpr std::array<std::string_view, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < units.size()) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{:.4g}{}", bytes, units[unit]);
}

namespace {

std::string text_of_value(const boost::json::value& value) {
    return value.is_string() ? std::string(value.as_string()) : boost::json::serialize(value);
}

std::string fill_one(std::string words, const boost::json::object& row) {
    const bool as_json = words.starts_with("json ");
    if (as_json)
        words.erase(0, words.find_first_not_of(' ', 5));
    if (as_json && words == ".")
        return boost::json::serialize(row);
    const boost::json::value* found =
        words.starts_with('.') ? row.if_contains(std::string_view(words).substr(1)) : nullptr;
    if (found == nullptr)
        throw error(error_kind::invalid,
            fmt::format("template: \"{{{{{}}}}}\" is nothing that can be shown here", words));
    return as_json ? boost::json::serialize(*found) : printable(text_of_value(*found));
}

/// What Docker writes over the column of a name; most are the name in capitals.
std::string head_of(std::string name) {
    static const std::map<std::string, std::string> heads{{"BlockIO", "BLOCK I/O"}, {"CPUPerc", "CPU %"},
        {"CreatedAt", "CREATED AT"}, {"LocalVolumes", "LOCAL VOLUMES"}, {"MemPerc", "MEM %"},
        {"MemUsage", "MEM USAGE / LIMIT"}, {"NetIO", "NET I/O"}, {"RunningFor", "CREATED"}};
    if (const auto found = heads.find(name); found != heads.end())
        return found->second;
    std::transform(name.begin(), name.end(), name.begin(),
        [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return name;
}

std::string strip(const std::string& text) {
    const auto first = text.find_first_not_of(' ');
    return first == std::string::npos ? std::string()
                                      : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

} // namespace

std::string fill_template(const std::string& text, const boost::json::object& row) {
    std::string filled;
    for (std::size_t at = 0; at < text.size();) {
        if (text.compare(at, 2, "{{") == 0) {
            const auto end = text.find("}}", at);
            if (end == std::string::npos)
                throw error(
                    error_kind::invalid, fmt::format("template: \"{}\" has no }}}}", text.substr(at)));
            filled += fill_one(strip(text.substr(at + 2, end - at - 2)), row);
            at = end + 2;
        } else if (text.compare(at, 2, "\\t") == 0 || text.compare(at, 2, "\\n") == 0) {
            filled += text[at + 1] == 't' ? '\t' : '\n';
            at += 2;
        } else {
            filled += text[at++];
        }
    }
    return filled;
}

std::string format_rows(const std::string& format, const std::vector<boost::json::object>& rows) {
    constexpr std::string_view as_table = "table ";
    std::string text;
    if (!format.starts_with(as_table)) {
        for (const boost::json::object& row : rows)
            text += (format == "json" ? boost::json::serialize(row) : fill_template(format, row)) + "\n";
        return text;
    }
    const auto columns = [&](const std::string& line) {
        std::vector<std::string> parts(1);
        for (const char each : line)
            if (each == '\t')
                parts.emplace_back();
            else
                parts.back() += each;
        return parts;
    };
    const std::string inner = format.substr(as_table.size());
    std::string head;
    for (std::size_t at = 0; at < inner.size();) { // what stands over each
        const auto begin = inner.find("{{", at);
        head += inner.substr(at, begin - at);
        if (begin == std::string::npos)
            break;
        const auto end = inner.find("}}", begin);
        std::string name = strip(inner.substr(begin + 2, end == std::string::npos ? end : end - begin - 2));
        head += head_of(name.substr(name.rfind('.') + 1));
        at = end == std::string::npos ? inner.size() : end + 2;
    }
    std::vector<std::vector<std::string>> cells;
    cells.reserve(rows.size());
    for (const boost::json::object& row : rows)
        cells.push_back(columns(fill_template(inner, row)));
    return format_table(columns(fill_template(head, {})), cells);
}

std::chrono::system_clock::time_point moment_of(const std::string& flag, const std::string& text) {
    using clock = std::chrono::system_clock;
    if (const auto before = parse_duration(text))
        return clock::now() - std::chrono::duration_cast<clock::duration>(*before);
    if (!text.empty() && text.find_first_not_of("0123456789.") == std::string::npos)
        return clock::time_point(std::chrono::duration_cast<clock::duration>(
            std::chrono::duration<double>(std::strtod(text.c_str(), nullptr))));
    for (const char* form : {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"}) {
        std::tm parts{};
        const char* rest = ::strptime(text.c_str(), form, &parts);
        if (rest == nullptr)
            continue;
        std::chrono::duration<double> fraction{0};
        if (*rest == '.') {
            char* end = nullptr;
            fraction = std::chrono::duration<double>(std::strtod(rest, &end));
            rest = end;
        }
        const auto add = std::chrono::duration_cast<clock::duration>(fraction);
        std::tm zone{};
        if (*rest == '\0') { // as Docker: the time of here
            parts.tm_isdst = -1;
            return clock::from_time_t(::mktime(&parts)) + add;
        }
        const char* end = ::strptime(rest, "%z", &zone);
        if (end != nullptr && *end == '\0')
            return clock::from_time_t(::timegm(&parts) - zone.tm_gmtoff) + add;
    }
    throw error(error_kind::invalid,
        fmt::format(
            "{} \"{}\": give a time like 2026-01-31T12:00:00Z, seconds after 1970, or how long ago, like 10m",
            flag, text));
}

std::string query_moment(std::chrono::system_clock::time_point when) {
    constexpr auto second = 1'000'000'000LL;
    const auto after_epoch = std::chrono::nanoseconds(when.time_since_epoch()).count();
    return fmt::format("{}.{:09}", after_epoch / second, after_epoch % second);
}

std::string human_bytes(double bytes) {
    constexpr std::array<std::string_view, 5> units{"B", "kB", "MB", "GB", "TB"};
    std::size_t unit = 0;
    while (bytes >= 1000 && unit + 1 < units.size()) {
        bytes /= 1000;
        ++unit;
    }
    return fmt::format("{:.4g}{}", bytes, units[unit]);
}

} // namespace compose::cli
