#include "engine/network/attachment.hpp"

#include "compose/model/error.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <stdexcept>

namespace engine {

namespace json = boost::json;

namespace {

constexpr int format_version = 1;

ipv4_address address_of(const json::object& object, std::string_view key) {
    const auto address = parse_ipv4(std::string_view(object.at(key).as_string()));
    if (!address)
        throw std::invalid_argument("a bad address");
    return *address;
}

std::uint16_t port_of(const json::object& object, std::string_view key) {
    return object.at(key).to_number<std::uint16_t>();
}

} // namespace

std::string encode(const attachment& value) {
    json::array endpoints;
    for (const endpoint& each : value.endpoints) {
        json::array aliases;
        for (const std::string& alias : each.aliases)
            aliases.emplace_back(alias);
        endpoints.push_back(json::object{{"network", each.network}, {"address", to_string(each.address)},
            {"aliases", aliases}, {"gateway_priority", each.gateway_priority}});
    }
    json::array published;
    for (const published_port& each : value.published)
        published.push_back(json::object{{"host", to_string(each.host)}, {"port", each.port},
            {"protocol", to_string(each.protocol)}, {"target", each.target}});
    return json::serialize(json::object{{"v", format_version}, {"endpoints", endpoints},
        {"published", published}, {"dns", json::array(value.dns.begin(), value.dns.end())}});
}

attachment decode_attachment(std::string_view key, std::string_view text) {
    try {
        const json::value parsed = json::parse(text);
        attachment result;
        result.container = key;
        for (const json::value& item : parsed.at("endpoints").as_array()) {
            const json::object& object = item.as_object();
            endpoint each;
            each.network = object.at("network").as_string();
            each.address = address_of(object, "address");
            for (const json::value& alias : object.at("aliases").as_array())
                each.aliases.emplace_back(alias.as_string());
            each.gateway_priority = object.at("gateway_priority").to_number<int>();
            result.endpoints.push_back(std::move(each));
        }
        for (const json::value& item : parsed.at("published").as_array()) {
            const json::object& object = item.as_object();
            result.published.push_back({.host = address_of(object, "host"),
                .port = port_of(object, "port"),
                .protocol = object.at("protocol").as_string() == "udp" ? transport::udp : transport::tcp,
                .target = port_of(object, "target")});
        }
        if (const json::value* servers = parsed.as_object().if_contains("dns"))
            for (const json::value& each : servers->as_array())
                result.dns.emplace_back(each.as_string());
        return result;
    } catch (const std::exception& failure) {
        throw compose::error(compose::error_kind::invalid,
            fmt::format("read the addresses of container \"{}\" from the store: {}", key, failure.what()));
    }
}

} // namespace engine
