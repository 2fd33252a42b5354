#include "compose/load/short_syntax.hpp"

#include "compose/load/diagnostic.hpp"
#include "compose/model/error.hpp"
#include "compose/model/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

namespace compose {

namespace {

[[noreturn]] void fail(std::string message) {
    throw error(error_kind::invalid, message);
}

struct port_range {
    unsigned first = 0;
    unsigned last = 0;
};

constexpr std::string_view port_form = "write [IP:]HOST:CONTAINER[/PROTOCOL], like 8080:80";

port_range parse_range(std::string_view text, std::string_view whole) {
    const auto number = [&](std::string_view part) {
        unsigned value = 0;
        const auto [end, failed] = std::from_chars(part.data(), part.data() + part.size(), value);
        if (part.empty())
            fail(fmt::format("\"{}\" lacks a port; {}", whole, port_form));
        if (failed != std::errc() || end != part.data() + part.size() || value > 65535)
            fail(part == whole ? fmt::format("\"{}\" is no port; {}", whole, port_form)
                               : fmt::format("\"{}\": \"{}\" is no port; {}", whole, part, port_form));
        return value;
    };
    const auto dash = text.find('-');
    port_range range{.first = number(text.substr(0, dash))};
    range.last = dash == std::string_view::npos ? range.first : number(text.substr(dash + 1));
    if (range.last < range.first)
        fail(fmt::format("\"{}\": the range {} ends before it begins", whole, text));
    return range;
}

} // namespace

std::vector<std::string> split_outside_braces(std::string_view text, char at) {
    std::vector<std::string> parts(1);
    std::size_t open = 0;
    for (std::size_t index = 0; index < text.size(); ++index) {
        const char c = text[index];
        if (c == '{' && index > 0 && text[index - 1] == '$')
            ++open;
        else if (c == '}' && open > 0)
            --open;
        if (c == at && open == 0)
            parts.emplace_back();
        else
            parts.back() += c;
    }
    return parts;
}

std::vector<port> parse_port(std::string_view text) {
    const std::string_view whole = text;
    port shape;
    if (const auto slash = text.rfind('/'); slash != std::string_view::npos) {
        shape.protocol = text.substr(slash + 1);
        std::transform(shape.protocol.begin(), shape.protocol.end(), shape.protocol.begin(),
            [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        if (shape.protocol.empty())
            shape.protocol = "tcp";
        if (shape.protocol != "tcp" && shape.protocol != "udp" && shape.protocol != "sctp")
            fail(fmt::format("\"{}\": protocol \"{}\" is not tcp, udp or sctp{}", whole, shape.protocol,
                did_you_mean(shape.protocol, {"tcp", "udp", "sctp"})));
        text = text.substr(0, slash);
        if (text.find('/') != std::string_view::npos)
            fail(fmt::format("\"{}\" has two protocols; write an item for each", whole));
    }
    if (text.starts_with('[')) {
        const auto close = text.find("]:");
        if (close == std::string_view::npos)
            fail(fmt::format("\"{}\": the bracket of the address is not closed", whole));
        shape.host_ip = text.substr(1, close - 1);
        text.remove_prefix(close + 2);
    } else if (std::count(text.begin(), text.end(), ':') > 2) {
        fail(fmt::format(
            "\"{}\" has more than three parts; {}, an IPv6 address in brackets", whole, port_form));
    } else if (std::count(text.begin(), text.end(), ':') == 2) {
        const auto colon = text.find(':');
        shape.host_ip = text.substr(0, colon);
        text.remove_prefix(colon + 1);
    }
    const auto colon = text.rfind(':');
    const port_range target =
        parse_range(colon == std::string_view::npos ? text : text.substr(colon + 1), whole);
    const std::string_view host =
        colon == std::string_view::npos ? std::string_view() : text.substr(0, colon);
    if (target.first == 0)
        fail(fmt::format("\"{}\": a container has no port 0", whole));

    std::vector<port> ports;
    if (target.first == target.last) {
        shape.target = static_cast<std::uint16_t>(target.first);
        if (!host.empty()) {
            const port_range published = parse_range(host, whole);
            const bool one = published.first == published.last;
            shape.published =
                one ? std::to_string(published.first) : fmt::format("{}-{}", published.first, published.last);
        }
        return {shape};
    }
    const port_range published = host.empty() ? port_range() : parse_range(host, whole);
    if (!host.empty() && published.last - published.first != target.last - target.first)
        fail(fmt::format("\"{}\": the two ranges have different lengths", whole));
    for (unsigned offset = 0; offset <= target.last - target.first; ++offset) {
        port each = shape;
        each.target = static_cast<std::uint16_t>(target.first + offset);
        if (!host.empty())
            each.published = std::to_string(published.first + offset);
        ports.push_back(std::move(each));
    }
    // Docker Compose prints them sorted as texts: 1000 before 998.
    std::sort(ports.begin(), ports.end(), [](const port& one, const port& other) {
        return std::to_string(one.target) < std::to_string(other.target);
    });
    return ports;
}

namespace {

/// Whether it is a known one.
bool take_mode(mount& of, const std::string& option) {
    // Docker Desktop's, which mean nothing on Linux.
    constexpr std::array<std::string_view, 3> of_desktop{"cached", "consistent", "delegated"};
    constexpr std::array<std::string_view, 6> propagations{
        "rprivate", "private", "rshared", "shared", "rslave", "slave"};
    const auto is_among = [&](const auto& known) {
        return std::find(known.begin(), known.end(), option) != known.end();
    };
    if (option == "ro" || option == "rw")
        of.read_only = option == "ro";
    else if (option == "z" || option == "Z")
        of.selinux = option;
    else if (option == "nocopy")
        of.nocopy = true;
    else if (is_among(propagations))
        of.propagation = option;
    else
        return is_among(of_desktop);
    return true;
}

} // namespace

mount parse_mount(std::string_view text) {
    const std::vector<std::string> parts = split_outside_braces(text, ':');
    if (text.empty() || parts.size() > 3)
        fail(fmt::format("\"{}\": write SOURCE:TARGET[:OPTIONS], like ./data:/data:ro", text));
    mount made;
    made.target = parts.size() == 1 ? parts[0] : parts[1];
    if (parts.size() == 1)
        return made;
    made.source = parts[0];
    if (made.source.empty() || made.target.empty())
        fail(fmt::format("\"{}\": the {} is empty", text, made.source.empty() ? "source" : "target"));
    if (made.source.starts_with('.') || made.source.starts_with('/') || made.source.starts_with('~'))
        made.type = mount_type::bind;
    if (parts.size() < 3)
        return made;
    if (parts[2].empty())
        fail(fmt::format("\"{}\": there is nothing after the last colon", text));
    for (const std::string& option : split_outside_braces(parts[2], ','))
        take_mode(made, option);
    return made;
}

std::vector<std::string> unknown_modes(std::string_view text) {
    std::vector<std::string> unknown;
    const std::vector<std::string> parts = split_outside_braces(text, ':');
    compose::mount ignored;
    if (parts.size() == 3)
        for (const std::string& option : split_outside_braces(parts[2], ','))
            if (!take_mode(ignored, option))
                unknown.push_back(option);
    return unknown;
}

std::string nearest_mode(std::string_view mode) {
    std::string plain;
    for (const char c : mode)
        if (std::isalpha(static_cast<unsigned char>(c)) != 0)
            plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (plain.starts_with("read")) // readonly, read-only, read_write: as others write it
        return plain.find("write") == std::string::npos ? "ro" : "rw";
    return nearest(
        plain, {"ro", "rw", "nocopy", "rprivate", "private", "rshared", "shared", "rslave", "slave"});
}

std::vector<std::string> split_command(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    bool in_word = false;
    char quote = '\0';
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (quote != '\0') {
            if (c == quote)
                quote = '\0';
            else if (c == '\\' && quote == '"' && at + 1 < text.size() &&
                     std::string_view("\"\\$`").find(text[at + 1]) != std::string_view::npos)
                word += text[++at];
            else
                word += c;
        } else if (c == '\'' || c == '"') {
            quote = c;
            in_word = true;
        } else if (c == '\\') {
            if (at + 1 == text.size())
                fail(fmt::format("a backslash stands before nothing at the end of: {}", text));
            word += text[++at];
            in_word = true;
        } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
            if (std::exchange(in_word, false))
                words.push_back(std::exchange(word, {}));
        } else {
            word += c;
            in_word = true;
        }
    }
    if (quote != '\0')
        fail(fmt::format("a quote {} is not closed in: {}", quote, text));
    if (in_word)
        words.push_back(word);
    return words;
}

restart_policy parse_restart(std::string_view text) {
    if (text == "no" || text == "false" || text.empty())
        return {};
    if (text == "always")
        return {.mode = restart_mode::always};
    if (text == "unless-stopped")
        return {.mode = restart_mode::unless_stopped};
    if (text == "on-failure")
        return {.mode = restart_mode::on_failure};
    if (text.starts_with("on-failure:")) {
        restart_policy policy{.mode = restart_mode::on_failure};
        const std::string_view count = text.substr(11);
        if (count.empty()) // of a variable without a value
            return policy;
        const auto [end, failed] =
            std::from_chars(count.data(), count.data() + count.size(), policy.max_attempts);
        if (failed == std::errc() && end == count.data() + count.size())
            return policy;
    }
    fail(fmt::format("\"{}\" is not one of no, always, unless-stopped, on-failure, on-failure:N{}", text,
        did_you_mean(text, {"no", "always", "unless-stopped", "on-failure"})));
}

} // namespace compose
