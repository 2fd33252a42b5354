#include "compose/cli/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace compose::cli {

std::string format_table(const std::vector<std::string>& head,
    const std::vector<std::vector<std::string>>& rows, std::size_t narrowest) {
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
                text += fmt::format("{:<{}}", row[column], std::max(widths[column] + 3, narrowest));
            else
                text += row[column];
        text += '\n';
    };
    add(head);
    for (const auto& row : rows)
        add(row);
    return text;
}

std::chrono::system_clock::time_point parse_time(std::string_view text) {
    std::tm parts{};
    if (::strptime(std::string(text.substr(0, 19)).c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr)
        return {};
    return std::chrono::system_clock::from_time_t(::timegm(&parts));
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
