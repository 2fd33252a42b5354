#include "engine/network/network_record.hpp"

#include "compose/model/error.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <stdexcept>

namespace engine {

namespace json = boost::json;

namespace {

constexpr int format_version = 1;

template <typename T>
void put(json::object& object, std::string_view key, const std::optional<T>& value) {
    if (value)
        object[key] = to_string(*value);
}

template <typename T>
T required(std::optional<T> value) {
    if (!value)
        throw std::invalid_argument("a bad address");
    return *value;
}

} // namespace

std::string encode(const network_record& record) {
    const network_definition& wanted = record.definition;
    json::object labels;
    for (const auto& [key, value] : wanted.labels)
        labels[key] = value;
    json::object object{{"v", format_version}, {"id", record.id}, {"name", wanted.name},
        {"project", wanted.project}, {"key", wanted.key}, {"labels", labels}, {"internal", wanted.internal},
        {"subnet", to_string(record.subnet)}, {"gateway", to_string(record.gateway)},
        {"bridge", record.bridge}, {"created", record.created}};
    put(object, "wanted_subnet", wanted.subnet);
    put(object, "wanted_gateway", wanted.gateway);
    put(object, "wanted_range", wanted.range);
    return json::serialize(object);
}

network_record decode_network(std::string_view key, std::string_view text) {
    try {
        const json::value parsed = json::parse(text);
        const json::object& object = parsed.as_object();
        const auto string = [&](std::string_view name) { return std::string(object.at(name).as_string()); };
        network_record record;
        record.id = string("id");
        record.bridge = string("bridge");
        record.created = string("created");
        record.subnet = required(parse_subnet(string("subnet")));
        record.gateway = required(parse_ipv4(string("gateway")));
        network_definition& wanted = record.definition;
        wanted.name = string("name");
        wanted.project = string("project");
        wanted.key = string("key");
        wanted.internal = object.at("internal").as_bool();
        for (const auto& label : object.at("labels").as_object())
            wanted.labels[label.key()] = label.value().as_string();
        if (object.contains("wanted_subnet"))
            wanted.subnet = required(parse_subnet(string("wanted_subnet")));
        if (object.contains("wanted_gateway"))
            wanted.gateway = required(parse_ipv4(string("wanted_gateway")));
        if (object.contains("wanted_range"))
            wanted.range = required(parse_subnet(string("wanted_range")));
        return record;
    } catch (const std::exception& failure) {
        throw compose::error(compose::error_kind::invalid,
            fmt::format("read network \"{}\" from the store: {}", key, failure.what()));
    }
}

} // namespace engine
