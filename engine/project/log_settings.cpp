#include "engine/project/log_settings.hpp"

#include "compose/model/error.hpp"
#include "compose/model/logging.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/host_name.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <regex>

namespace engine {

namespace json = boost::json;
namespace fs = std::filesystem;
using compose::error;
using compose::error_kind;
using compose::log_choice;
using compose::log_driver;

namespace {

constexpr const char* journal_socket = "/run/systemd/journal/socket";
constexpr std::size_t short_id = 12;
constexpr std::size_t most_attributes = 16U << 10U; // with each line; the shim is told in one packet

using attributes = std::map<std::string, std::string>;

/// Those named, and those whose names match.
void choose(attributes& into, const attributes& from, const std::vector<std::string>& names,
    const std::string& pattern) {
    for (const std::string& name : names)
        if (const auto found = from.find(name); found != from.end())
            into[name] = found->second;
    if (pattern.empty())
        return;
    const std::regex matches(pattern);
    for (const auto& [name, value] : from)
        if (std::regex_search(name, matches))
            into[name] = value;
}

attributes attributes_of(
    const log_choice& choice, const container_record& record, const image_config& image) {
    attributes labels = image.labels;
    for (auto& [name, value] : labels_of(record))
        labels[name] = value;
    attributes environment;
    for (const std::string& line : image.env)
        if (const std::size_t equals = line.find('='); equals != std::string::npos)
            environment[line.substr(0, equals)] = line.substr(equals + 1);
    for (const auto& [name, value] : record.service_definition().environment)
        if (value)
            environment[name] = *value;
    attributes chosen;
    choose(chosen, labels, choice.labels, choice.labels_regex);
    choose(chosen, environment, choice.env, choice.env_regex);
    std::size_t size = 0;
    for (const auto& [name, value] : chosen)
        size += name.size() + value.size();
    if (size > most_attributes)
        throw error(error_kind::invalid,
            fmt::format("services.{}.logging.options: the labels and variables that each line is to have "
                        "are {} KiB together, more than {}; name fewer",
                record.service, size >> 10U, most_attributes >> 10U));
    return chosen;
}

std::string short_image_id(const std::string& id) {
    const std::size_t colon = id.find(':');
    return id.substr(colon == std::string::npos ? 0 : colon + 1, short_id);
}

std::string tag_of(const std::string& text, const container_record& record) {
    return compose::expand_log_tag(
        text, {{"Name", record.name}, {"ID", record.id.substr(0, short_id)}, {"FullID", record.id},
                  {"ImageName", record.image_reference}, {"ImageID", short_image_id(record.image)},
                  {"ImageFullID", record.image}, {"DaemonName", "composed"}})
        .value_or(text);
}

/// A field of the journal's native protocol; its length before what has lines of its own.
void add_field(std::string& into, std::string_view name, std::string_view value) {
    into += name;
    if (value.find('\n') == std::string_view::npos) {
        into += '=';
    } else {
        into += '\n';
        for (unsigned byte = 0; byte < sizeof(std::uint64_t); ++byte) // little endian
            into += static_cast<char>(static_cast<std::uint64_t>(value.size()) >> (8 * byte) & 0xFFU);
    }
    into += value;
    into += '\n';
}

/// As the journal wants names: capitals, digits and _, which does not come first.
std::string field_name(const std::string& name) {
    std::string made;
    for (const char letter : name) {
        const auto byte = static_cast<unsigned char>(letter);
        made += std::isalnum(byte) != 0 && byte < 0x80 ? static_cast<char>(std::toupper(byte)) : '_';
    }
    made.erase(0, std::min(made.find_first_not_of("_0123456789"), made.size()));
    constexpr std::size_t longest = 64;
    return made.substr(0, longest);
}

log_target journal_target(const container_record& record, const std::string& tag, const attributes& chosen) {
    log_target target{.type = log_target::kind::journald, .place = journal_socket};
    std::string& fields = target.fields;
    add_field(fields, "CONTAINER_ID", record.id.substr(0, short_id));
    add_field(fields, "CONTAINER_ID_FULL", record.id);
    add_field(fields, "CONTAINER_NAME", record.name);
    add_field(fields, "CONTAINER_TAG", tag);
    add_field(fields, "IMAGE_NAME", record.image_reference);
    add_field(fields, "SYSLOG_IDENTIFIER", tag);
    for (const auto& [name, value] : chosen)
        if (const std::string field = field_name(name); !field.empty())
            add_field(fields, field, value);
    return target;
}

log_target syslog_target(const log_choice& choice, std::string tag) {
    log_target target;
    static_assert(
        static_cast<int>(log_target::kind::rfc5424_micro) ==
        static_cast<int>(log_target::kind::syslog) + static_cast<int>(compose::syslog_format::rfc5424_micro));
    target.type = static_cast<log_target::kind>(
        static_cast<int>(log_target::kind::syslog) + static_cast<int>(choice.format));
    const compose::syslog_address& address = choice.address;
    using kind = compose::syslog_address::kind;
    const bool network = address.type == kind::udp || address.type == kind::tcp;
    if (network && target.type == log_target::kind::syslog)
        target.type = log_target::kind::rfc3164; // another host's has to know whose it is
    target.way = address.type == kind::either     ? log_target::transport::unix_socket
                 : address.type == kind::datagram ? log_target::transport::datagram
                 : address.type == kind::udp      ? log_target::transport::udp
                                                  : log_target::transport::tcp;
    target.place = address.place;
    target.port = address.port;
    target.facility = choice.facility;
    boost::system::error_code none;
    target.host_name = boost::asio::ip::host_name(none);
    // What ends a tag for those who read it must not be in it.
    std::replace_if(
        tag.begin(), tag.end(), [](unsigned char c) { return c <= ' ' || c == 0x7F; }, '_');
    target.tag = std::move(tag);
    return target;
}

} // namespace

log_options log_options_of(const container_record& record, const image_config& image, log_options defaults) {
    const compose::service& service = record.service_definition();
    if (!service.log)
        return defaults;
    const log_choice choice =
        compose::understand_logging(*service.log, [&](const std::string& key, const std::string& message) {
            throw error(
                error_kind::invalid, fmt::format("services.{}.logging.{}: {}", service.name, key, message));
        });
    log_options made = defaults;
    if (choice.driver != log_driver::json_file) { // those of Docker's driver `local`
        made.max_size = 20U << 20U;
        made.max_files = 5;
        made.compress = true;
    }
    made.max_size = choice.max_size.value_or(made.max_size);
    made.max_files = choice.max_files.value_or(made.max_files);
    made.compress = choice.compress.value_or(made.compress);
    made.discard = choice.driver == log_driver::none || choice.no_copy;
    attributes chosen = attributes_of(choice, record, image);
    if (choice.driver == log_driver::journald || choice.driver == log_driver::syslog) {
        const std::string tag = tag_of(choice.tag.empty() ? "{{.ID}}" : choice.tag, record);
        made.target = choice.driver == log_driver::journald ? journal_target(record, tag, chosen)
                                                            : syslog_target(choice, tag);
    } else if (!choice.tag.empty()) {
        chosen["tag"] = tag_of(choice.tag, record);
    }
    if (!chosen.empty())
        made.attributes = json::serialize(json::value_from(chosen));
    return made;
}

task<> reach_log_target(log_target& target, const container_record& record) {
    if (target.type == log_target::kind::none)
        co_return;
    const bool journal = target.type == log_target::kind::journald;
    const std::string key = fmt::format(
        "services.{}.logging.{}", record.service, journal ? "driver: journald" : "options.syslog-address");
    const std::string start = fmt::format("start container \"{}\": {}", record.name, key);
    if (target.way == log_target::transport::datagram || target.way == log_target::transport::unix_socket) {
        std::error_code none;
        if (!fs::is_socket(target.place, none))
            throw error(error_kind::unavailable,
                fmt::format("{}: {} does not listen at {}; start it, or take another driver", start,
                    journal ? "systemd-journald" : "a syslog daemon", target.place));
        co_return;
    }
    boost::asio::ip::tcp::resolver resolver(co_await boost::asio::this_coro::executor);
    boost::system::error_code failure;
    const std::string port = std::to_string(target.port);
    const auto found = co_await resolver.async_resolve(
        target.place, port, boost::asio::redirect_error(boost::asio::use_awaitable, failure));
    if (failure || found.empty())
        throw error(error_kind::unavailable,
            fmt::format("{}: there is no host \"{}\": {}", start, target.place, failure.message()));
    target.place = found.begin()->endpoint().address().to_string();
}

} // namespace engine
