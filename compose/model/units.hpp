#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace compose {

/// "1h30m", "1.5s", "500ms", "1d", "2w": Go's durations with days and weeks. Nothing for a bare number or
/// other text.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// As Go prints it: "1h5m30.02s".
std::string format_duration(std::chrono::nanoseconds duration);

/// "64", "64b", "64k", "64 MiB", "1.5g": multiples of 1024, any case. -1 is allowed.
std::optional<std::int64_t> parse_bytes(std::string_view text);

/// A decimal, 0x or octal (0o17, 017) integer.
std::optional<std::int64_t> parse_integer(std::string_view text);

enum class number_form { none, whole, fraction };

/// What sort of number a plain YAML scalar is, by YAML's core schema and the older forms that Go's reader
/// takes.
number_form number_form_of(std::string_view text) noexcept;

/// What a plain YAML scalar that is a number reads as text, as Docker Compose (Go) writes it: 010 is
/// "8", 1.50 is "1.5", 1e3 is "1000", 1e10 is "1e+10"; anything else is left as it is.
std::string plain_scalar_text(std::string_view text);

/// YAML 1.2's true and false in any case; y, yes, on, n, no and off as well, as Docker Compose takes them.
std::optional<bool> parse_bool(std::string_view text);

/// ASCII letters only.
std::string lower_case(std::string_view text);

/// Bytes of the UTF-8 character that `text`, which is not empty, begins with; 0 when it is none.
std::size_t utf8_size(std::string_view text) noexcept;

} // namespace compose
