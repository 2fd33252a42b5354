#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace compose::cli {

/// Rows under a head, three spaces between columns, as Docker's tools print them; a column has `narrowest`
/// characters at least, with those spaces.
std::string format_table(const std::vector<std::string>& head,
    const std::vector<std::vector<std::string>>& rows, std::size_t narrowest = 0);

/// An RFC 3339 time of the daemon; the epoch for what is none.
std::chrono::system_clock::time_point parse_time(std::string_view text);

/// "5 seconds", "About a minute", "3 weeks": as Docker words it.
std::string human_duration(std::chrono::seconds duration);

/// "12.3MB", in powers of 1000.
std::string human_bytes(double bytes);

} // namespace compose::cli
