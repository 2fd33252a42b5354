#include "compose/model/cron.hpp"

#include "compose/model/error.hpp"
#include "compose/model/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace compose {

namespace {

constexpr int minutes_of_day = 24 * 60;
constexpr int days_searched = 366 * 9; // 29 February is eight years away around 2100

struct field {
    std::string_view name;
    int least;
    int most;
    std::span<const std::string_view> names; // the first is `least`
};

constexpr std::array<std::string_view, 12> month_names{
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> weekday_names{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr field minute_field{"minute", 0, 59, {}};
constexpr field hour_field{"hour", 0, 23, {}};
constexpr field day_field{"day of the month", 1, 31, {}};
constexpr field month_field{"month", 1, 12, month_names};
constexpr field weekday_field{"day of the week", 0, 7, weekday_names};

std::optional<int> number_in(std::string_view text) {
    int number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    return failure == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
    std::vector<std::string_view> parts;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find_first_of(separators, begin), text.size());
        parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

std::string_view written_out(std::string_view macro) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 7> known{{{"@yearly", "0 0 1 1 *"},
        {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
        {"@daily", "0 0 * * *"}, {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"}}};
    for (const auto& [name, meaning] : known)
        if (name == macro)
            return meaning;
    return {};
}

} // namespace

class cron_reader {
  public:
    explicit cron_reader(std::string_view text) : text_(text) {}

    cron read() {
        cron made;
        if (text_.starts_with("@every")) {
            made.every_ = interval(text_.substr(std::string_view("@every").size()));
            return made;
        }
        std::string_view meaning = text_;
        if (text_.starts_with('@') && (meaning = written_out(text_)).empty())
            fail("there are @hourly, @daily, @weekly, @monthly, @yearly and @every DURATION");
        std::vector<std::string_view> fields = split(meaning, " \t");
        std::erase_if(fields, [](std::string_view part) { return part.empty(); });
        if (fields.size() != 5)
            fail(fmt::format(
                "it has {} fields; write five: minute, hour, day of the month, month, day of the week",
                fields.size()));
        fill(made.minutes_, minute_field, fields[0]);
        fill(made.hours_, hour_field, fields[1]);
        fill(made.days_, day_field, fields[2]);
        fill(made.months_, month_field, fields[3]);
        fill(made.weekdays_, weekday_field, fields[4]);
        made.any_hour_ = fields[1].starts_with('*');
        made.any_day_ = fields[2].starts_with('*');
        made.any_weekday_ = fields[4].starts_with('*');
        if (made.weekdays_[7])
            made.weekdays_.set(0);
        if (never_comes(made))
            fail("none of its months has such a day");
        return made;
    }

  private:
    [[noreturn]] void fail(const std::string& why) const {
        throw error(error_kind::invalid, fmt::format("{:?} is no schedule: {}", text_, why));
    }

    std::chrono::nanoseconds interval(std::string_view text) const {
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
        const auto parsed = parse_duration(text);
        if (!parsed || *parsed < std::chrono::seconds(1) || *parsed > std::chrono::hours(366 * 24))
            fail("after @every there must be a duration of a second or more, a year at most, like 90s or "
                 "1h30m");
        return *parsed;
    }

    template <typename Bits>
    void fill(Bits& bits, const field& of, std::string_view text) const {
        for (const std::string_view part : split(text, ",")) {
            const std::size_t slash = part.find('/');
            const std::string_view range = part.substr(0, slash);
            int step = 1;
            if (slash != std::string_view::npos) {
                const auto given = number_in(part.substr(slash + 1));
                if (!given || *given < 1)
                    fail(fmt::format("\"{}\" of its {} needs a number from 1 on after the /", part, of.name));
                step = *given;
            }
            const auto [first, last] = ends_of(range, slash != std::string_view::npos, of);
            for (int each = first; each <= last; each += std::min(step, last - first + 1))
                bits.set(static_cast<std::size_t>(each));
        }
    }

    std::pair<int, int> ends_of(std::string_view range, bool stepped, const field& of) const {
        if (range == "*")
            return {of.least, of.names.size() == weekday_names.size() ? of.most - 1 : of.most};
        const std::size_t dash = range.find('-');
        const int first = value(range.substr(0, dash), of);
        if (dash == std::string_view::npos)
            return {first, stepped ? of.most : first};
        const int last = value(range.substr(dash + 1), of);
        if (last < first)
            fail(fmt::format("\"{}\" of its {} goes backwards; write two ranges", range, of.name));
        return {first, last};
    }

    int value(std::string_view text, const field& of) const {
        const std::string lower = lower_case(text);
        for (std::size_t index = 0; index < of.names.size(); ++index)
            if (of.names[index] == lower)
                return of.least + static_cast<int>(index);
        const auto number = number_in(text);
        if (!number || *number < of.least || *number > of.most)
            fail(fmt::format("\"{}\" is no {}, which is {} to {}", text, of.name, of.least, of.most));
        return *number;
    }

    static bool never_comes(const cron& of) {
        if (of.any_day_ || !of.any_weekday_)
            return false;
        constexpr std::array<int, 12> longest{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        for (int month = 1; month <= 12; ++month)
            for (int day = 1; day <= longest.at(static_cast<std::size_t>(month - 1)); ++day)
                if (of.months_[static_cast<std::size_t>(month)] && of.days_[static_cast<std::size_t>(day)])
                    return false;
        return true;
    }

    std::string_view text_;
};

cron cron::parse(std::string_view text) {
    return cron_reader(text).read();
}

bool cron::is_on(int month, int day, int weekday) const noexcept {
    if (!months_[static_cast<std::size_t>(month)])
        return false;
    const bool by_day = days_[static_cast<std::size_t>(day)];
    const bool by_weekday = weekdays_[static_cast<std::size_t>(weekday)];
    return any_day_ || any_weekday_ ? by_day && by_weekday : by_day || by_weekday;
}

bool cron::is_at(int minute_of_day) const noexcept {
    return hours_[static_cast<std::size_t>(minute_of_day / 60)] &&
           minutes_[static_cast<std::size_t>(minute_of_day % 60)];
}

namespace {

std::tm local(std::time_t when) {
    std::tm broken{};
    ::localtime_r(&when, &broken);
    return broken;
}

} // namespace

// Each minute that a day really has is looked at: what the clock leaves out or shows twice shows itself.
cron::time_point cron::next(time_point when) const {
    if (every_.count() > 0)
        return when + std::chrono::duration_cast<time_point::duration>(every_);
    ::tzset(); // the host may have another zone since
    const std::time_t after = std::chrono::system_clock::to_time_t(when);
    const std::tm today = local(after);
    for (int ahead = 0; ahead < days_searched; ++ahead) {
        std::tm noon{};
        noon.tm_year = today.tm_year;
        noon.tm_mon = today.tm_mon;
        noon.tm_mday = today.tm_mday + ahead;
        noon.tm_hour = 12; // a day may begin at one o'clock
        noon.tm_isdst = -1;
        const std::time_t middle = std::mktime(&noon);
        if (!is_on(noon.tm_mon + 1, noon.tm_mday, noon.tm_wday))
            continue;
        constexpr std::time_t half = std::time_t(14) * 3600;
        int seen = -1; // the latest minute of the day so far
        for (std::time_t moment = middle - half; moment <= middle + half; moment += 60) {
            const std::tm now = local(moment);
            const bool ended = seen >= 0 && (now.tm_year > noon.tm_year || now.tm_yday > noon.tm_yday);
            if (!ended && (now.tm_year != noon.tm_year || now.tm_yday != noon.tm_yday))
                continue;
            const int minute = ended ? minutes_of_day : now.tm_hour * 60 + now.tm_min;
            bool due = false;
            for (int left_out = seen + 1; left_out < minute && !any_hour_; ++left_out)
                due = due || is_at(left_out);
            if (!ended)
                due = due || (is_at(minute) && (any_hour_ || minute > seen));
            seen = std::max(seen, minute);
            if (due && moment > after)
                return std::chrono::system_clock::from_time_t(moment);
            if (ended)
                break;
        }
    }
    return time_point::max(); // cannot be: parse() refuses what never comes
}

} // namespace compose
