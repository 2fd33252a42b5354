#include "compose/model/logging.hpp"

#include "compose/model/nearest.hpp"
#include "compose/model/units.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <regex>
#include <set>

namespace compose {

namespace {

constexpr std::array<std::string_view, 5> drivers{"json-file", "local", "none", "journald", "syslog"};
constexpr std::array<std::string_view, 7> tag_names{
    "Name", "ID", "FullID", "ImageName", "ImageID", "ImageFullID", "DaemonName"};
constexpr std::array<std::string_view, 24> facilities{"kern", "user", "mail", "daemon", "auth", "syslog",
    "lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "", "", "", "local0", "local1", "local2", "local3",
    "local4", "local5", "local6", "local7"};
constexpr std::uint16_t syslog_port = 514;
constexpr std::size_t longest_path = 107; // of a unix socket
constexpr std::size_t longest_regex = 1000;

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
    Number value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || failure != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

std::vector<std::string> list_of(std::string_view text) {
    std::vector<std::string> names;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        if (comma > 0)
            names.emplace_back(text.substr(0, comma));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return names;
}

class option_reader {
  public:
    option_reader(const logging& from, const log_fault& wrong) : from_(from), wrong_(wrong) {}

    log_choice read() {
        if (!from_.driver.empty()) {
            const auto found = std::find(drivers.begin(), drivers.end(), from_.driver);
            if (found == drivers.end()) {
                wrong_("driver",
                    fmt::format("\"{}\" is not supported; there are json-file, local, none, "
                                "journald and syslog{}",
                        from_.driver, did_you_mean(from_.driver, {drivers.begin(), drivers.end()})));
                return made_;
            }
            made_.driver = static_cast<log_driver>(found - drivers.begin());
        }
        for (const auto& [option, value] : from_.options)
            if (!any_driver(option, value) && !of_file(option, value) && !of_copy(option, value) &&
                !of_syslog(option, value))
                fail(option, option.starts_with("syslog-tls-")
                                 ? "is not supported: TLS is not spoken"
                                 : fmt::format("there is no such option of {}; there are {}{}",
                                       to_string(made_.driver), fmt::join(known(), ", "),
                                       did_you_mean(option, known())));
        const unsigned files = made_.max_files.value_or(2);
        if (made_.compress.value_or(false) && files < 2)
            fail(is_forwarded() ? "cache-compress" : "compress",
                "only files that were rotated away are compressed; set max-file to 2 or more");
        return made_;
    }

  private:
    void fail(const std::string& option, const std::string& message) { wrong_("options." + option, message); }

    bool is_forwarded() const {
        return made_.driver == log_driver::journald || made_.driver == log_driver::syslog;
    }

    std::vector<std::string_view> known() const {
        std::vector<std::string_view> names{"labels", "labels-regex", "env", "env-regex", "tag"};
        if (is_forwarded())
            names.insert(
                names.end(), {"cache-max-size", "cache-max-file", "cache-compress", "cache-disabled"});
        else
            names.insert(names.end(), {"max-size", "max-file", "compress"});
        if (made_.driver == log_driver::syslog)
            names.insert(names.end(), {"syslog-address", "syslog-facility", "syslog-format"});
        return names;
    }

    bool any_driver(const std::string& option, const std::string& value) {
        if (option == "labels")
            made_.labels = list_of(value);
        else if (option == "env")
            made_.env = list_of(value);
        else if (option == "labels-regex")
            made_.labels_regex = regex(option, value);
        else if (option == "env-regex")
            made_.env_regex = regex(option, value);
        else if (option == "tag")
            tag(value);
        else if (option == "mode")
            mode(value);
        else if (option == "max-buffer-size")
            size(option, value);
        else
            return false;
        return true;
    }

    bool of_file(const std::string& option, const std::string& value) {
        if (is_forwarded())
            return false;
        return limit(option, option, value);
    }

    bool of_copy(const std::string& option, const std::string& value) {
        constexpr std::string_view prefix = "cache-";
        if (!is_forwarded() || !option.starts_with(prefix))
            return false;
        if (option != "cache-disabled")
            return limit(option, option.substr(prefix.size()), value);
        made_.no_copy = flag(option, value);
        return true;
    }

    bool limit(const std::string& option, const std::string& kind, const std::string& value) {
        if (kind == "max-size") {
            made_.max_size = size(option, value);
        } else if (kind == "max-file") {
            made_.max_files = number_of<unsigned>(value);
            if (!made_.max_files || *made_.max_files < 1 || *made_.max_files > most_log_files)
                fail(option, fmt::format("\"{}\" is no number from 1 to {}", value, most_log_files));
        } else if (kind == "compress") {
            made_.compress = flag(option, value);
        } else {
            return false;
        }
        return true;
    }

    bool of_syslog(const std::string& option, const std::string& value) {
        if (made_.driver != log_driver::syslog)
            return false;
        if (option == "syslog-address")
            address(value);
        else if (option == "syslog-facility")
            facility(value);
        else if (option == "syslog-format")
            format(value);
        else
            return false;
        return true;
    }

    std::optional<std::uint64_t> size(const std::string& option, const std::string& value) {
        const auto bytes = parse_bytes(value);
        if (bytes && *bytes > 0)
            return static_cast<std::uint64_t>(*bytes);
        fail(option, fmt::format("\"{}\" is no size; write a number with k, m or g", value));
        return std::nullopt;
    }

    bool flag(const std::string& option, const std::string& value) {
        const auto yes = value == "1" || value == "0" ? std::optional(value == "1") : parse_bool(value);
        if (!yes)
            fail(option, fmt::format("\"{}\" is neither true nor false", value));
        return yes.value_or(false);
    }

    std::string regex(const std::string& option, const std::string& value) {
        if (value.size() > longest_regex) {
            fail(option, fmt::format("has more than {} letters", longest_regex));
            return {};
        }
        try {
            std::regex compiled(value);
        } catch (const std::regex_error& failure) {
            fail(option, fmt::format("\"{}\" is no regular expression: {}", value, failure.what()));
            return {};
        }
        return value;
    }

    void tag(const std::string& value) {
        std::map<std::string, std::string, std::less<>> values;
        for (const std::string_view name : tag_names)
            values.emplace(name, "x");
        if (!expand_log_tag(value, values))
            fail("tag", fmt::format("\"{}\" has something in braces that is not known; there are {{{{.{}}}}}",
                            value, fmt::join(tag_names, "}}, {{.")));
        made_.tag = value;
    }

    /// Containers are never held up for long, so both come to the same.
    void mode(const std::string& value) {
        if (value != "blocking" && value != "non-blocking")
            fail("mode", fmt::format("\"{}\" is not known; there are blocking and non-blocking{}", value,
                             did_you_mean(value, {"blocking", "non-blocking"})));
    }

    void address(const std::string& value) {
        const auto fault = [&](std::string_view why) {
            fail("syslog-address", fmt::format("\"{}\" {}; write unix:///PATH, unixgram:///PATH, "
                                               "udp://HOST:PORT or tcp://HOST:PORT",
                                       value, why));
        };
        const std::size_t colon = value.find("://");
        const std::string scheme = value.substr(0, colon);
        if (colon == std::string::npos)
            return fault("is no address");
        std::string place = value.substr(colon + 3);
        using kind = syslog_address::kind;
        if (scheme == "unix" || scheme == "unixgram") {
            if (!place.starts_with('/') || place.size() > longest_path)
                return fault("is no path of a socket");
            made_.address = {.type = scheme == "unix" ? kind::either : kind::datagram, .place = place};
            return;
        }
        if (scheme == "tcp+tls")
            return fault("is not supported: TLS is not spoken");
        if (scheme != "udp" && scheme != "tcp")
            return fault("is not of a kind that is known");
        made_.address.type = scheme == "udp" ? kind::udp : kind::tcp;
        if (!host_and_port(place))
            fault("has no host, or no port");
    }

    bool host_and_port(std::string place) {
        std::string port;
        const std::size_t bracket = place.find(']');
        const std::size_t colon = place.rfind(':');
        if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) {
            port = place.substr(colon + 1);
            place.resize(colon);
            if (port.empty())
                return false;
        }
        if (place.starts_with('[') && place.ends_with(']'))
            place = place.substr(1, place.size() - 2);
        made_.address.place = place;
        const auto number = port.empty() ? std::optional(syslog_port) : number_of<std::uint16_t>(port);
        made_.address.port = number.value_or(0);
        return !place.empty() && place.find_first_of("/ ") == std::string::npos && made_.address.port != 0;
    }

    void facility(const std::string& value) {
        const auto found = std::find(facilities.begin(), facilities.end(), value);
        if (found != facilities.end() && !value.empty())
            made_.facility = static_cast<unsigned>(found - facilities.begin());
        else if (const auto number = number_of<unsigned>(value); number && *number < facilities.size())
            made_.facility = *number;
        else
            fail("syslog-facility",
                fmt::format("\"{}\" is none; there are kern, user, mail, daemon, auth, syslog, lpr, news, "
                            "uucp, cron, authpriv, ftp, local0 to local7, and 0 to 23{}",
                    value, did_you_mean(value, {facilities.begin(), facilities.end()})));
    }

    void format(const std::string& value) {
        if (value == "rfc3164")
            made_.format = syslog_format::rfc3164;
        else if (value == "rfc5424")
            made_.format = syslog_format::rfc5424;
        else if (value == "rfc5424micro")
            made_.format = syslog_format::rfc5424_micro;
        else
            fail("syslog-format",
                fmt::format("\"{}\" is not known; there are rfc3164, rfc5424 and rfc5424micro{}", value,
                    did_you_mean(value, {"rfc3164", "rfc5424", "rfc5424micro"})));
    }

    const logging& from_;
    const log_fault& wrong_;
    log_choice made_;
};

} // namespace

log_choice understand_logging(const logging& from, const log_fault& wrong) {
    return option_reader(from, wrong).read();
}

std::optional<std::string> expand_log_tag(
    std::string_view tag, const std::map<std::string, std::string, std::less<>>& values) {
    std::string text;
    for (std::size_t at = tag.find("{{"); at != std::string_view::npos; at = tag.find("{{")) {
        text += tag.substr(0, at);
        const std::size_t end = tag.find("}}", at);
        if (end == std::string_view::npos)
            return std::nullopt;
        std::string_view name = tag.substr(at + 2, end - at - 2);
        name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
        name.remove_suffix(name.size() - std::min(name.find_last_not_of(' ') + 1, name.size()));
        const auto found = name.starts_with('.') ? values.find(name.substr(1)) : values.end();
        if (found == values.end())
            return std::nullopt;
        text += found->second;
        tag.remove_prefix(end + 2);
    }
    return text.append(tag);
}

std::string_view to_string(log_driver driver) noexcept {
    return drivers[static_cast<std::size_t>(driver)];
}

} // namespace compose
