#pragma once

#include <boost/json/object.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace compose::cli {

/// Of most of Docker's tables: the narrowest that a column is, with the spaces after it.
constexpr std::size_t narrowest_column = 10;

/// Rows under a head, `gap` spaces between columns, as Docker's tools print them; a column has `narrowest`
/// characters at least, with those spaces.
std::string format_table(const std::vector<std::string>& head,
    const std::vector<std::vector<std::string>>& rows, std::size_t narrowest = 0, std::size_t gap = 3);

/// A Go template over a row, as far as people use them: {{.NAME}}, {{json .NAME}}, {{json .}}, \t and \n.
/// Throws error{invalid} for anything else between braces, and for a name that there is none of.
std::string fill_template(const std::string& text, const boost::json::object& row);

/// Rows by --format: `json` a line each, a template, or `table TEMPLATE` under heads that are made from the
/// names. "table" itself is not for this.
std::string format_rows(const std::string& format, const std::vector<boost::json::object>& rows);

/// A point in time of --since and --until: RFC 3339, seconds after the epoch, or a duration before now.
/// Throws error{invalid} naming the flag.
std::chrono::system_clock::time_point moment_of(const std::string& flag, const std::string& text);

/// Seconds after the epoch with a fraction, for a query.
std::string query_moment(std::chrono::system_clock::time_point when);

/// "12.34MiB", in powers of 1024.
std::string human_binary(double bytes);

/// An RFC 3339 time of the daemon; the epoch for what is none.
std::chrono::system_clock::time_point parse_time(std::string_view text);

/// "5 seconds", "About a minute", "3 weeks": as Docker words it.
std::string human_duration(std::chrono::seconds duration);

/// At most so many characters, the last of which says that there are more.
std::string shortened(const std::string& text, std::size_t most);

/// Between double quotes, with what is special or not to be printed escaped, as Go's %q.
std::string quoted(const std::string& text);

/// "12.3MB", in powers of 1000.
std::string human_bytes(double bytes);

} // namespace compose::cli
