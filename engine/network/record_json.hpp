#pragma once

#include <boost/json.hpp>

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

/// What the records of networks and of attachments have in common as JSON.
namespace engine::record_json {

/// Throws what a decoder turns into the error that names its record.
template <typename T>
T required(std::optional<T> value) {
    if (!value)
        throw std::invalid_argument("a bad address");
    return *value;
}

inline boost::json::object texts(const std::map<std::string, std::string>& values) {
    boost::json::object object;
    for (const auto& [key, value] : values)
        object[key] = value;
    return object;
}

/// Empty when there is no such member.
inline std::map<std::string, std::string> texts_in(const boost::json::object& object, std::string_view key) {
    std::map<std::string, std::string> values;
    if (const boost::json::value* found = object.if_contains(key))
        for (const auto& each : found->as_object())
            values[each.key()] = each.value().as_string();
    return values;
}

} // namespace engine::record_json
