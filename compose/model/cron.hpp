#pragma once

#include <bitset>
#include <chrono>
#include <string_view>

namespace compose {

/// When something is due: "0 3 * * *" (minute, hour, day of the month, month, day of the week, with names,
/// lists, ranges and steps), @hourly, @daily, @weekly, @monthly, @yearly, or "@every 90s". In local time, as
/// cron(8) has it: where both days are given either is enough; what falls into the hour that is left out in
/// spring is due when that has passed; what falls into the one that comes twice in autumn is due the first
/// time, unless its hour is `*`.
class cron {
  public:
    using time_point = std::chrono::system_clock::time_point;

    /// Throws error{invalid} for what is none, and for a day that never comes.
    static cron parse(std::string_view text);

    /// The first time after `when`; of `@every` that long after it. Pure but for the time zone of the host.
    time_point next(time_point when) const;

  private:
    friend class cron_reader;

    bool is_on(int month, int day, int weekday) const noexcept;
    bool is_at(int minute_of_day) const noexcept;

    std::chrono::nanoseconds every_{}; // 0: by the calendar
    std::bitset<60> minutes_;
    std::bitset<24> hours_;
    std::bitset<32> days_;
    std::bitset<13> months_;
    std::bitset<8> weekdays_;
    bool any_hour_ = false;
    bool any_day_ = false;
    bool any_weekday_ = false;
};

} // namespace compose
