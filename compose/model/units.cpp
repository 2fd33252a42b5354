#include "compose/model/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace compose {

namespace {

// Digits with an optional fraction at the start of `text`, which is moved past them.
std::optional<double> take_number(std::string_view& text) {
    // Else from_chars would take "nan" and "inf" for numbers.
    if (text.empty() || (std::isdigit(static_cast<unsigned char>(text[0])) == 0 && text[0] != '.'))
        return std::nullopt;
    double value = 0;
    const auto [end, failed] =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (failed != std::errc() || end == text.data())
        return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

struct time_unit {
    std::string_view name;
    double nanoseconds;
};
// Longer names first, so that "ms" is not read as "m".
// Two signs for micro: U+00B5 and the letter U+03BC.
constexpr std::array<time_unit, 10> time_units{{{"ns", 1}, {"us", 1e3}, {"\u00b5s", 1e3}, {"\u03bcs", 1e3},
    {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}, {"w", 604800e9}}};

} // namespace

std::string lower_case(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
        [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    if (text == "0")
        return std::chrono::nanoseconds(0);
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+'))
        text.remove_prefix(1);
    if (text.empty())
        return std::nullopt;
    long double total = 0; // 64 bits of mantissa: nanoseconds of centuries
    while (!text.empty()) {
        const auto number = take_number(text);
        if (!number || *number < 0)
            return std::nullopt;
        const auto unit = std::find_if(time_units.begin(), time_units.end(),
            [&](const time_unit& u) { return text.starts_with(u.name); });
        if (unit == time_units.end())
            return std::nullopt;
        text.remove_prefix(unit->name.size());
        total += static_cast<long double>(*number) * static_cast<long double>(unit->nanoseconds);
    }
    if (total > 9223372036854775807.0L)
        return std::nullopt;
    const std::chrono::nanoseconds result(std::llroundl(total));
    return negative ? -result : result;
}

std::string format_duration(std::chrono::nanoseconds duration) {
    if (duration.count() == 0)
        return "0s";
    if (duration.count() < 0)
        return "-" + format_duration(-duration);
    const auto fraction = [](double value) {
        std::string text = fmt::format("{:.9f}", value);
        text.erase(text.find_last_not_of('0') + 1);
        if (text.ends_with('.'))
            text.pop_back();
        return text;
    };
    const auto count = static_cast<double>(duration.count());
    if (count < 1e3)
        return fmt::format("{}ns", duration.count());
    if (count < 1e6)
        return fraction(count / 1e3) + "µs";
    if (count < 1e9)
        return fraction(count / 1e6) + "ms";
    const auto hours = std::chrono::duration_cast<std::chrono::hours>(duration);
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(duration - hours);
    const double seconds = static_cast<double>((duration - hours - minutes).count()) / 1e9;
    std::string text;
    if (hours.count() > 0)
        text += fmt::format("{}h", hours.count());
    if (hours.count() > 0 || minutes.count() > 0)
        text += fmt::format("{}m", minutes.count());
    return text + fraction(seconds) + "s";
}

std::optional<std::int64_t> parse_bytes(std::string_view text) {
    if (text == "-1")
        return -1;
    std::string plain(text.substr(text.starts_with('+') ? 1 : 0));
    std::erase(plain, '_'); // as Go reads numbers: 1_000
    text = plain;
    const auto number = take_number(text);
    if (!number || *number < 0)
        return std::nullopt;
    while (text.starts_with(' '))
        text.remove_prefix(1);
    std::string unit = lower_case(text);
    if (unit.ends_with("ib"))
        unit.resize(unit.size() - 2);
    else if (unit.ends_with('b'))
        unit.pop_back();
    constexpr std::string_view order = "kmgtp";
    if (unit.size() > 1 || (!unit.empty() && order.find(unit[0]) == std::string_view::npos))
        return std::nullopt;
    const double factor = unit.empty() ? 1 : std::pow(1024.0, static_cast<double>(order.find(unit[0]) + 1));
    if (*number * factor >= 9223372036854775808.0) // 2^63
        return std::nullopt;
    return static_cast<std::int64_t>(*number * factor);
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+'))
        text.remove_prefix(1);
    int base = 10;
    if (text.starts_with("0x") || text.starts_with("0X"))
        base = 16;
    else if (text.starts_with("0b"))
        base = 2;
    else if (text.starts_with("0o") || text.starts_with("0O"))
        base = 8;
    if (base != 10)
        text.remove_prefix(2);
    else if (text.size() > 1 && text[0] == '0')
        base = 8;
    std::int64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || failed != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return negative ? -value : value;
}

namespace {

/// Go's strconv.FormatFloat(value, 'g', -1, 64): the fewest digits that read back, with an exponent below
/// 1e-4 and from 1e6 on.
std::string go_float(double value) {
    std::array<char, 64> text{};
    const auto written =
        std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific);
    const std::string_view scientific(text.data(), static_cast<std::size_t>(written.ptr - text.data()));
    const auto mark = scientific.find('e');
    int exponent = 0;
    const char* digits = scientific.data() + mark + (scientific[mark + 1] == '+' ? 2 : 1);
    std::from_chars(digits, scientific.data() + scientific.size(), exponent);
    if (exponent < -4 || exponent >= 6)
        return std::string(scientific);
    const auto plain = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    return {text.data(), plain.ptr};
}

bool is_float(std::string_view text) {
    text.remove_prefix(text.starts_with('-') || text.starts_with('+') ? 1 : 0);
    const auto end = text.find_first_of("eE");
    const std::string_view mantissa = text.substr(0, end);
    const bool digits = mantissa.find_first_of("0123456789") != std::string_view::npos &&
                        mantissa.find_first_not_of("0123456789.") == std::string_view::npos &&
                        std::count(mantissa.begin(), mantissa.end(), '.') <= 1;
    if (!digits || end == std::string_view::npos)
        return digits && mantissa.find('.') != std::string_view::npos;
    std::string_view exponent = text.substr(end + 1);
    exponent.remove_prefix(exponent.starts_with('-') || exponent.starts_with('+') ? 1 : 0);
    return !exponent.empty() && exponent.find_first_not_of("0123456789") == std::string_view::npos &&
           std::isfinite(std::strtod(std::string(text).c_str(), nullptr)); // 1e400 is a text
}

} // namespace

number_form number_form_of(std::string_view text) noexcept {
    if (text.empty() || (std::isdigit(static_cast<unsigned char>(text[0])) == 0 && text[0] != '-' &&
                            text[0] != '+' && text[0] != '.'))
        return number_form::none;
    std::string plain(text);
    std::erase(plain, '_');
    if (parse_integer(plain))
        return number_form::whole;
    std::string_view digits = plain;
    digits.remove_prefix(digits.starts_with('-') || digits.starts_with('+') ? 1 : 0);
    if (!digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos)
        return digits[0] == '0' || digits.size() > 20 ? number_form::fraction : number_form::whole;
    return is_float(plain) ? number_form::fraction : number_form::none;
}

std::string plain_scalar_text(std::string_view text) {
    if (std::string word = lower_case(text); word == "true" || word == "false")
        return word;
    std::string plain(text);
    std::erase(plain, '_'); // 1_000, as YAML 1.1 had it and Go's reader still takes it
    if (const auto whole = parse_integer(plain))
        return std::to_string(*whole);
    const bool not_octal =
        plain.size() > 1 && plain[0] == '0' && plain.find_first_not_of("0123456789") == std::string::npos;
    if (!not_octal && !is_float(plain))
        return std::string(text);
    const double value = std::strtod(plain.c_str(), nullptr);
    return std::isfinite(value) ? go_float(value) : std::string(text);
}

std::optional<bool> parse_bool(std::string_view text) {
    const std::string value = lower_case(text);
    for (const std::string_view yes : {"true", "y", "yes", "on", "1"})
        if (value == yes)
            return true;
    for (const std::string_view no : {"false", "n", "no", "off", "0"})
        if (value == no)
            return false;
    return std::nullopt;
}

std::size_t utf8_size(std::string_view text) noexcept {
    const auto lead = static_cast<unsigned char>(text[0]);
    const std::size_t size = lead < 0x80   ? 1
                             : lead < 0xc2 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
    if (size > text.size())
        return 0;
    for (std::size_t at = 1; at < size; ++at)
        if ((static_cast<unsigned char>(text[at]) & 0xc0U) != 0x80)
            return 0;
    return size;
}

} // namespace compose
