#include "engine/network/attachment.hpp"

#include "compose/model/error.hpp"
#include "engine/network/record_json.hpp"

#include <fmt/format.h>

namespace engine {

namespace json = boost::json;
using record_json::required;
using record_json::texts;
using record_json::texts_in;

namespace {

constexpr int format_version = 1;

std::string_view text_of(const json::value& value) {
    return value.as_string();
}

std::uint16_t port_of(const json::object& object, std::string_view key) {
    return object.at(key).to_number<std::uint16_t>();
}

json::object object_of(const endpoint& each) {
    json::object object{{"network", each.network},
        {"aliases", json::array(each.aliases.begin(), each.aliases.end())},
        {"gateway_priority", each.gateway_priority}};
    if (each.ipv4)
        object["address"] = to_string(*each.ipv4);
    if (each.ipv6)
        object["address6"] = to_string(*each.ipv6);
    if (!each.interface.empty())
        object["interface"] = each.interface;
    if (each.mac)
        object["mac"] = to_string(*each.mac);
    json::array link_local;
    for (const ip_address& address : each.link_local)
        link_local.emplace_back(to_string(address));
    if (!link_local.empty())
        object["link_local"] = std::move(link_local);
    if (!each.sysctls.empty())
        object["sysctls"] = texts(each.sysctls);
    return object;
}

endpoint endpoint_in(const json::object& object) {
    endpoint each;
    each.network = object.at("network").as_string();
    for (const json::value& alias : object.at("aliases").as_array())
        each.aliases.emplace_back(alias.as_string());
    each.gateway_priority = object.at("gateway_priority").to_number<int>();
    if (const json::value* address = object.if_contains("address"))
        each.ipv4 = required(parse_ipv4(text_of(*address)));
    if (const json::value* address = object.if_contains("address6"))
        each.ipv6 = required(parse_ipv6(text_of(*address)));
    if (const json::value* name = object.if_contains("interface"))
        each.interface = name->as_string();
    if (const json::value* mac = object.if_contains("mac"))
        each.mac = required(parse_mac(text_of(*mac)));
    if (const json::value* addresses = object.if_contains("link_local"))
        for (const json::value& address : addresses->as_array())
            each.link_local.push_back(required(parse_ip(text_of(address))));
    each.sysctls = texts_in(object, "sysctls");
    return each;
}

} // namespace

std::optional<ip_address> address_of(const endpoint& of) noexcept {
    if (of.ipv4)
        return *of.ipv4;
    if (of.ipv6)
        return *of.ipv6;
    return std::nullopt;
}

std::string encode(const attachment& value) {
    json::array endpoints;
    for (const endpoint& each : value.endpoints)
        endpoints.push_back(object_of(each));
    json::array published;
    for (const published_port& each : value.published)
        published.push_back(json::object{{"host", to_string(each.host)}, {"port", each.port},
            {"protocol", to_string(each.protocol)}, {"target", each.target}});
    json::object object{{"v", format_version}, {"endpoints", std::move(endpoints)},
        {"published", std::move(published)}, {"dns", json::array(value.dns.begin(), value.dns.end())}};
    json::array offers;
    for (const offered_port& each : value.offers)
        offers.push_back(
            json::object{{"port", each.port}, {"protocol", to_string(each.protocol)}, {"name", each.name}});
    if (!offers.empty())
        object["offers"] = std::move(offers);
    if (!value.links.empty())
        object["links"] = texts(value.links);
    if (value.held_back)
        object["held_back"] = true;
    return json::serialize(object);
}

attachment decode_attachment(std::string_view key, std::string_view text) {
    try {
        const json::value parsed = json::parse(text);
        const json::object& whole = parsed.as_object();
        attachment result;
        result.container = key;
        for (const json::value& item : whole.at("endpoints").as_array())
            result.endpoints.push_back(endpoint_in(item.as_object()));
        for (const json::value& item : whole.at("published").as_array()) {
            const json::object& object = item.as_object();
            result.published.push_back({.host = required(parse_ip(text_of(object.at("host")))),
                .port = port_of(object, "port"),
                .protocol = required(parse_transport(text_of(object.at("protocol")))),
                .target = port_of(object, "target")});
        }
        if (const json::value* servers = whole.if_contains("dns"))
            for (const json::value& each : servers->as_array())
                result.dns.emplace_back(each.as_string());
        if (const json::value* offers = whole.if_contains("offers"))
            for (const json::value& item : offers->as_array()) {
                const json::object& object = item.as_object();
                result.offers.push_back({.port = port_of(object, "port"),
                    .protocol = required(parse_transport(text_of(object.at("protocol")))),
                    .name = std::string(object.at("name").as_string())});
            }
        result.links = texts_in(whole, "links");
        result.held_back = whole.contains("held_back");
        return result;
    } catch (const std::exception& failure) {
        throw compose::error(compose::error_kind::invalid,
            fmt::format("read the addresses of container \"{}\" from the store: {}", key, failure.what()));
    }
}

} // namespace engine
