#pragma once

#include "compose/model/service.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace compose {

/// "[HOST:]CONTAINER[/PROTOCOL]", HOST "[IP:](PORT|RANGE)". Ranges of one size make an entry each. Throws
/// error{invalid}.
std::vector<port> parse_port(std::string_view text);

/// "SOURCE:TARGET[:OPTIONS]" or "TARGET". A source that begins with . / or ~ is a bind and is left relative.
/// Throws error{invalid}.
mount parse_mount(std::string_view text);

/// Those of its OPTIONS that nobody knows: they are left out, as Docker Compose does.
std::vector<std::string> unknown_modes(std::string_view text);

/// The known option that is meant by one that is none, or empty.
std::string nearest_mode(std::string_view mode);

/// At each `at` that does not stand in a ${...}, which may be there still.
std::vector<std::string> split_outside_braces(std::string_view text, char at);

/// Words as a shell would split them, with quotes and backslashes and nothing else. Throws error{invalid} for
/// a quote that is not closed, and for a backslash at the end.
std::vector<std::string> split_command(std::string_view text);

/// no, always, unless-stopped, on-failure[:N]. Throws error{invalid}.
restart_policy parse_restart(std::string_view text);

} // namespace compose
