#include "engine/image/config.hpp"

#include "compose/model/error.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <climits>

namespace engine {

namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

// Docker writes null for what is empty.
const json::value* find(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
}

std::string text_of(const json::object& object, std::string_view key) {
    const json::value* value = find(object, key);
    return value == nullptr ? std::string() : std::string(value->as_string());
}

std::vector<std::string> texts_of(const json::object& object, std::string_view key) {
    const json::value* value = find(object, key);
    return value == nullptr ? std::vector<std::string>() : json::value_to<std::vector<std::string>>(*value);
}

std::vector<std::string> keys_of(const json::object& object, std::string_view key) {
    std::vector<std::string> keys;
    if (const json::value* value = find(object, key))
        for (const auto& member : value->as_object())
            keys.emplace_back(member.key());
    return keys;
}

/// 0 for what is not there.
template <typename Number>
Number number_of(const json::object& object, std::string_view key) {
    const json::value* value = find(object, key);
    if (value == nullptr)
        return 0;
    boost::system::error_code wrong;
    const Number number = value->to_number<Number>(wrong);
    if (wrong)
        throw error(
            error_kind::invalid, fmt::format("image configuration: {}: {} is no number that it can be", key,
                                     json::serialize(*value)));
    return number;
}

compose::healthcheck health_of(const json::object& object) {
    compose::healthcheck health;
    health.test = texts_of(object, "Test");
    const auto duration = [&](std::string_view key) -> std::optional<std::chrono::nanoseconds> {
        const auto nanoseconds = number_of<std::int64_t>(object, key);
        return nanoseconds == 0 ? std::nullopt : std::optional(std::chrono::nanoseconds(nanoseconds));
    };
    health.interval = duration("Interval");
    health.timeout = duration("Timeout");
    health.start_period = duration("StartPeriod");
    health.start_interval = duration("StartInterval");
    if (const auto retries = number_of<std::int64_t>(object, "Retries"); retries > 0)
        health.retries = static_cast<unsigned>(std::min<std::int64_t>(retries, INT_MAX)); // or for ever
    return health;
}

image_config config_of(const json::object& object) {
    image_config config;
    config.entrypoint = texts_of(object, "Entrypoint");
    config.cmd = texts_of(object, "Cmd");
    config.env = texts_of(object, "Env");
    config.user = text_of(object, "User");
    config.working_dir = text_of(object, "WorkingDir");
    config.stop_signal = text_of(object, "StopSignal");
    config.volumes = keys_of(object, "Volumes");
    config.exposed_ports = keys_of(object, "ExposedPorts");
    if (const json::value* labels = find(object, "Labels"))
        for (const auto& label : labels->as_object())
            config.labels[label.key()] = label.value().as_string();
    if (const json::value* health = find(object, "Healthcheck"))
        config.healthcheck = health_of(health->as_object());
    return config;
}

} // namespace

image_document parse_image_document(std::string_view text) {
    try {
        const json::value parsed = json::parse(text);
        const json::object& object = parsed.as_object();
        image_document document;
        const std::string system = text_of(object, "os");
        if (!system.empty() && system != "linux")
            throw error(error_kind::invalid,
                fmt::format("image configuration: the image is for {}, not linux", system));
        document.platform = fmt::format("linux/{}", text_of(object, "architecture"));
        document.created = text_of(object, "created");
        if (const json::value* config = find(object, "config"))
            document.config = config_of(config->as_object());
        for (const json::value& each : object.at("rootfs").at("diff_ids").as_array())
            document.diff_ids.emplace_back(std::string_view(each.as_string()));
        return document;
    } catch (const error&) {
        throw;
    } catch (const std::exception& failure) {
        // Boost.JSON has several: for what is no JSON, of another kind, missing or out of range.
        throw error(error_kind::invalid, fmt::format("image configuration: {}", failure.what()));
    }
}

} // namespace engine
