#include "engine/network/network_record.hpp"

#include "compose/model/error.hpp"
#include "engine/network/record_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace engine {

namespace json = boost::json;
using record_json::required;
using record_json::texts;
using record_json::texts_in;

namespace {

constexpr int format_version = 1;

constexpr std::array<std::string_view, 3> driver_names{"bridge", "macvlan", "ipvlan"};

template <typename T>
void put(json::object& object, std::string_view key, const std::optional<T>& value) {
    if (value)
        object[key] = to_string(*value);
}

/// What a record of an earlier version may lack.
bool switched(const json::object& object, std::string_view key, bool otherwise) {
    const json::value* found = object.if_contains(key);
    return found == nullptr ? otherwise : found->as_bool();
}

template <typename Parse>
auto address_in(const json::object& object, std::string_view key, Parse parse)
    -> decltype(parse(std::string_view())) {
    const json::value* found = object.if_contains(key);
    if (found == nullptr)
        return std::nullopt;
    return required(parse(std::string_view(found->as_string())));
}

void put_wanted(json::object& object, const network_definition& wanted) {
    put(object, "wanted_subnet", wanted.subnet);
    put(object, "wanted_gateway", wanted.gateway);
    put(object, "wanted_range", wanted.range);
    put(object, "wanted_subnet6", wanted.subnet6);
    put(object, "wanted_gateway6", wanted.gateway6);
    put(object, "wanted_range6", wanted.range6);
    if (wanted.driver != network_driver::bridge)
        object["driver"] = to_string(wanted.driver);
    if (!wanted.options.empty())
        object["options"] = texts(wanted.options);
    if (!wanted.ipv4)
        object["ipv4"] = false;
    if (wanted.ipv6)
        object["ipv6"] = true;
    json::array reserved;
    for (const ip_address& each : wanted.reserved)
        reserved.emplace_back(to_string(each));
    if (!reserved.empty())
        object["reserved"] = std::move(reserved);
}

void put_lent(json::object& object, const std::optional<lent_bridge>& lent) {
    if (!lent)
        return;
    json::array addresses;
    for (const ip_address& each : lent->addresses)
        addresses.emplace_back(to_string(each));
    object["lent"] = json::object{
        {"up", lent->up}, {"route_localnet", lent->route_localnet}, {"addresses", std::move(addresses)}};
}

std::optional<lent_bridge> lent_in(const json::object& object) {
    const json::value* found = object.if_contains("lent");
    if (found == nullptr)
        return std::nullopt;
    lent_bridge lent{.up = found->at("up").as_bool(),
        .route_localnet = found->at("route_localnet").as_bool(),
        .addresses = {}};
    for (const json::value& each : found->at("addresses").as_array())
        lent.addresses.insert(required(parse_ip(std::string_view(each.as_string()))));
    return lent;
}

template <typename Lan>
auto given(const std::optional<lent_bridge>& lent, const std::optional<Lan>& lan)
    -> std::optional<decltype(lan->gateway)> {
    if (!lan)
        return std::nullopt;
    const auto within = [&](const ip_address& each) {
        const auto* address = std::get_if<decltype(lan->gateway)>(&each);
        return address != nullptr && lan->subnet.contains(*address);
    };
    if (lent && std::any_of(lent->addresses.begin(), lent->addresses.end(), within))
        return std::nullopt;
    return lan->gateway;
}

network_definition wanted_in(const json::object& object) {
    const auto string = [&](std::string_view name) { return std::string(object.at(name).as_string()); };
    network_definition wanted;
    wanted.name = string("name");
    wanted.project = string("project");
    wanted.key = string("key");
    wanted.labels = texts_in(object, "labels");
    wanted.options = texts_in(object, "options");
    wanted.internal = object.at("internal").as_bool();
    wanted.ipv4 = switched(object, "ipv4", true);
    wanted.ipv6 = switched(object, "ipv6", false);
    wanted.subnet = address_in(object, "wanted_subnet", parse_subnet);
    wanted.gateway = address_in(object, "wanted_gateway", parse_ipv4);
    wanted.range = address_in(object, "wanted_range", parse_range);
    wanted.subnet6 = address_in(object, "wanted_subnet6", parse_subnet6);
    wanted.gateway6 = address_in(object, "wanted_gateway6", parse_ipv6);
    wanted.range6 = address_in(object, "wanted_range6", parse_range6);
    if (object.contains("driver"))
        wanted.driver = required(parse_network_driver(string("driver")));
    if (const json::value* reserved = object.if_contains("reserved"))
        for (const json::value& each : reserved->as_array())
            wanted.reserved.insert(required(parse_ip(std::string_view(each.as_string()))));
    return wanted;
}

} // namespace

std::string_view to_string(network_driver driver) noexcept {
    return driver_names[static_cast<std::size_t>(driver)];
}

std::optional<network_driver> parse_network_driver(std::string_view name) noexcept {
    const auto found = std::find(driver_names.begin(), driver_names.end(), name);
    if (found == driver_names.end())
        return std::nullopt;
    return static_cast<network_driver>(found - driver_names.begin());
}

std::optional<ipv4_address> given_ipv4(const network_record& record) {
    return given(record.lent, record.ipv4);
}

std::optional<ipv6_address> given_ipv6(const network_record& record) {
    return given(record.lent, record.ipv6);
}

std::string encode(const network_record& record) {
    const network_definition& wanted = record.definition;
    json::object object{{"v", format_version}, {"id", record.id}, {"name", wanted.name},
        {"project", wanted.project}, {"key", wanted.key}, {"labels", texts(wanted.labels)},
        {"internal", wanted.internal}, {"bridge", record.bridge}, {"created", record.created}};
    if (record.ipv4) {
        object["subnet"] = to_string(record.ipv4->subnet);
        object["gateway"] = to_string(record.ipv4->gateway);
    }
    if (record.ipv6) {
        object["subnet6"] = to_string(record.ipv6->subnet);
        object["gateway6"] = to_string(record.ipv6->gateway);
    }
    put_lent(object, record.lent);
    put_wanted(object, wanted);
    return json::serialize(object);
}

network_record decode_network(std::string_view key, std::string_view text) {
    try {
        const json::value parsed = json::parse(text);
        const json::object& object = parsed.as_object();
        network_record record;
        record.id = object.at("id").as_string();
        record.bridge = object.at("bridge").as_string();
        record.created = object.at("created").as_string();
        record.lent = lent_in(object);
        if (const auto subnet = address_in(object, "subnet", parse_subnet))
            record.ipv4 = {.subnet = *subnet, .gateway = required(address_in(object, "gateway", parse_ipv4))};
        if (const auto subnet = address_in(object, "subnet6", parse_subnet6))
            record.ipv6 = {
                .subnet = *subnet, .gateway = required(address_in(object, "gateway6", parse_ipv6))};
        record.definition = wanted_in(object);
        return record;
    } catch (const std::exception& failure) {
        throw compose::error(compose::error_kind::invalid,
            fmt::format("read network \"{}\" from the store: {}", key, failure.what()));
    }
}

} // namespace engine
