#include "compose/model/cron.hpp"
#include "compose/model/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <string>

namespace {

using compose::cron;
using testing::HasSubstr;

/// Times in and out as "2026-03-29 01:30", in the zone of the test; what comes out has its offset.
class cron_test : public testing::Test {
  protected:
    void SetUp() override { zone("UTC"); }
    void TearDown() override { zone("UTC"); }

    static void zone(const char* name) {
        ::setenv("TZ", name, 1);
        ::tzset();
    }

    static cron::time_point at(const std::string& text) {
        std::tm broken{};
        ::strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &broken);
        broken.tm_isdst = -1;
        return std::chrono::system_clock::from_time_t(std::mktime(&broken));
    }

    static std::string text(cron::time_point when, const char* format = "%F %H:%M:%S") {
        const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
        std::tm broken{};
        ::localtime_r(&seconds, &broken);
        char buffer[64];
        return {buffer, std::strftime(buffer, sizeof buffer, format, &broken)};
    }

    static std::string next(const std::string& schedule, const std::string& after) {
        return text(cron::parse(schedule).next(at(after)), "%F %H:%M");
    }

    static std::string why_not(const std::string& schedule) {
        try {
            cron::parse(schedule);
        } catch (const compose::error& failure) {
            return failure.what();
        }
        return "it is taken";
    }
};

TEST_F(cron_test, times_of_the_day) {
    EXPECT_EQ(next("0 3 * * *", "2026-11-27 02:59:59"), "2026-11-27 03:00");
    EXPECT_EQ(next("0 3 * * *", "2026-11-27 03:00:00"), "2026-11-28 03:00");
    EXPECT_EQ(next("* * * * *", "2026-11-27 03:00:00"), "2026-11-27 03:01");
    EXPECT_EQ(next("* * * * *", "2026-12-31 23:59:30"), "2027-01-01 00:00");
    EXPECT_EQ(next("59 23 31 12 *", "2026-12-31 23:59:00"), "2027-12-31 23:59");
}

TEST_F(cron_test, lists_ranges_and_steps) {
    EXPECT_EQ(next("*/15 * * * *", "2026-11-27 03:01:00"), "2026-11-27 03:15");
    EXPECT_EQ(next("*/15 * * * *", "2026-11-27 03:46:00"), "2026-11-27 04:00");
    EXPECT_EQ(next("5/20 * * * *", "2026-11-27 03:26:00"), "2026-11-27 03:45");
    EXPECT_EQ(next("0 9-17/4 * * *", "2026-11-27 14:00:00"), "2026-11-27 17:00");
    EXPECT_EQ(next("10,20,50-52 1 * * *", "2026-11-27 01:20:00"), "2026-11-27 01:50");
    EXPECT_EQ(next("0 */5 * * *", "2026-11-27 20:00:00"), "2026-11-28 00:00");
    EXPECT_EQ(next("*/2147483647 * * * *", "2026-11-27 20:00:00"), "2026-11-27 21:00");
}

TEST_F(cron_test, days_and_their_names) {
    EXPECT_EQ(next("0 0 * * mon", "2026-11-27 00:00:00"), "2026-11-30 00:00"); // a Friday before
    EXPECT_EQ(next("0 0 * * 7", "2026-11-27 00:00:00"), "2026-11-29 00:00");
    EXPECT_EQ(next("0 0 * * 0", "2026-11-27 00:00:00"), "2026-11-29 00:00");
    EXPECT_EQ(next("0 0 * * Fri-7", "2026-11-27 00:00:00"), "2026-11-28 00:00");
    EXPECT_EQ(next("0 0 1 JAN,Mar *", "2026-01-01 00:00:00"), "2026-03-01 00:00");
    EXPECT_EQ(next("0 0 31 * *", "2026-01-31 00:00:00"), "2026-03-31 00:00");
}

TEST_F(cron_test, either_of_two_days_is_enough) {
    EXPECT_EQ(next("0 0 13 * fri", "2026-11-27 00:00:00"), "2026-12-04 00:00");
    EXPECT_EQ(next("0 0 13 * fri", "2026-12-11 00:00:00"), "2026-12-13 00:00");
    EXPECT_EQ(next("0 0 */2 * fri", "2026-11-27 00:00:00"), "2026-12-11 00:00"); // a star is no restriction
}

TEST_F(cron_test, leap_years) {
    EXPECT_EQ(next("0 12 29 2 *", "2026-11-27 00:00:00"), "2028-02-29 12:00");
    EXPECT_EQ(next("0 12 29 2 *", "2096-02-29 12:00:00"), "2104-02-29 12:00");
}

TEST_F(cron_test, words) {
    EXPECT_EQ(next("@hourly", "2026-11-27 03:00:01"), "2026-11-27 04:00");
    EXPECT_EQ(next("@daily", "2026-11-27 03:00:00"), "2026-11-28 00:00");
    EXPECT_EQ(next("@midnight", "2026-11-27 03:00:00"), "2026-11-28 00:00");
    EXPECT_EQ(next("@weekly", "2026-11-27 03:00:00"), "2026-11-29 00:00");
    EXPECT_EQ(next("@monthly", "2026-11-27 03:00:00"), "2026-12-01 00:00");
    EXPECT_EQ(next("@yearly", "2026-11-27 03:00:00"), "2027-01-01 00:00");
    EXPECT_EQ(next("@annually", "2026-11-27 03:00:00"), "2027-01-01 00:00");
    EXPECT_EQ(next("@every 90m", "2026-11-27 03:00:00"), "2026-11-27 04:30");
}

// Germany: on 2026-03-29 two o'clock is three, on 2026-10-25 three is two again.
TEST_F(cron_test, the_hour_left_out_in_spring) {
    zone("Europe/Berlin");
    EXPECT_EQ(next("30 2 * * *", "2026-03-28 03:00:00"), "2026-03-29 03:00");
    EXPECT_EQ(next("30 2 * * *", "2026-03-29 03:00:00"), "2026-03-30 02:30");
    EXPECT_EQ(next("0 3 * * *", "2026-03-29 01:59:00"), "2026-03-29 03:00");
    EXPECT_EQ(next("0 3 * * *", "2026-03-29 03:00:00"), "2026-03-30 03:00");
    EXPECT_EQ(next("*/30 * * * *", "2026-03-29 01:30:00"), "2026-03-29 03:00");
    EXPECT_EQ(next("15 * * * *", "2026-03-29 01:15:00"), "2026-03-29 03:15");
}

TEST_F(cron_test, the_hour_that_comes_twice_in_autumn) {
    zone("Europe/Berlin");
    const cron daily = cron::parse("30 2 * * *");
    const auto first = daily.next(at("2026-10-25 01:00:00"));
    EXPECT_EQ(text(first, "%F %H:%M %Z"), "2026-10-25 02:30 CEST");
    EXPECT_EQ(text(daily.next(first), "%F %H:%M %Z"), "2026-10-26 02:30 CET");
    const cron hourly = cron::parse("30 * * * *");
    EXPECT_EQ(text(hourly.next(first), "%F %H:%M %Z"), "2026-10-25 02:30 CET");
    EXPECT_EQ(text(hourly.next(hourly.next(first)), "%F %H:%M %Z"), "2026-10-25 03:30 CET");
    const cron later = cron::parse("0 3 * * *");
    EXPECT_EQ(text(later.next(first), "%F %H:%M %Z"), "2026-10-25 03:00 CET");
}

// Chile's clocks go from 24:00 to 01:00 on 2026-09-06: that day has no midnight.
TEST_F(cron_test, a_day_without_a_midnight) {
    zone("America/Santiago");
    EXPECT_EQ(next("@daily", "2026-09-05 12:00:00"), "2026-09-06 01:00");
    EXPECT_EQ(next("@daily", "2026-09-06 01:00:00"), "2026-09-07 00:00");
}

TEST_F(cron_test, every_time_comes_once_a_day_in_every_zone) {
    for (const char* name : {"UTC", "Europe/Berlin", "America/New_York", "America/Santiago",
             "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Havana"}) {
        zone(name);
        for (const char* schedule : {"0 0 * * *", "30 2 * * *", "15 1 * * *", "59 23 * * *", "30 0 * * *"}) {
            const cron daily = cron::parse(schedule);
            cron::time_point now = at("2026-01-01 23:59:30");
            std::string day = text(now, "%F");
            for (int count = 0; count < 400; ++count) {
                now = daily.next(now);
                const std::string next_day = text(now, "%F");
                ASSERT_LT(day, next_day) << name << " " << schedule;
                day = next_day;
            }
            ASSERT_EQ(day, "2027-02-05") << name << " " << schedule;
        }
    }
}

TEST_F(cron_test, what_is_none) {
    EXPECT_THAT(why_not(""), HasSubstr("it has 0 fields"));
    EXPECT_THAT(why_not("0 3 * *"), HasSubstr("it has 4 fields; write five"));
    EXPECT_THAT(why_not("0 0 3 * * *"), HasSubstr("it has 6 fields"));
    EXPECT_THAT(why_not("60 3 * * *"), HasSubstr("\"60\" is no minute, which is 0 to 59"));
    EXPECT_THAT(why_not("0 24 * * *"), HasSubstr("\"24\" is no hour"));
    EXPECT_THAT(why_not("0 3 0 * *"), HasSubstr("\"0\" is no day of the month, which is 1 to 31"));
    EXPECT_THAT(why_not("0 3 * 13 *"), HasSubstr("\"13\" is no month"));
    EXPECT_THAT(why_not("0 3 * * 8"), HasSubstr("\"8\" is no day of the week"));
    EXPECT_THAT(why_not("0 3 * * sunday"), HasSubstr("\"sunday\" is no day of the week"));
    EXPECT_THAT(why_not("0 3 * * fri-mon"), HasSubstr("goes backwards"));
    EXPECT_THAT(why_not("*/0 * * * *"), HasSubstr("needs a number from 1 on"));
    EXPECT_THAT(why_not("*/x * * * *"), HasSubstr("needs a number from 1 on"));
    EXPECT_THAT(why_not("1,,2 * * * *"), HasSubstr("\"\" is no minute"));
    EXPECT_THAT(why_not("-5 * * * *"), HasSubstr("is no minute"));
    EXPECT_THAT(why_not("0 0 31 2,4 *"), HasSubstr("none of its months has such a day"));
    EXPECT_THAT(why_not("@reboot"), HasSubstr("there are @hourly"));
    EXPECT_THAT(why_not("@every"), HasSubstr("a duration of a second or more"));
    EXPECT_THAT(why_not("@every 1ms"), HasSubstr("a duration of a second or more"));
    EXPECT_THAT(why_not("@every 10000h"), HasSubstr("a duration of a second or more, a year at most"));
    EXPECT_THAT(why_not("0 0 31 2 mon"), HasSubstr("it is taken")); // Mondays come
}

} // namespace
