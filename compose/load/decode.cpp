#include "compose/load/decode.hpp"

#include "compose/model/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace compose {

namespace {

std::string_view name_of(node_kind kind) noexcept {
    switch (kind) {
    case node_kind::null:
        return "nothing";
    case node_kind::scalar:
        return "a single value";
    case node_kind::list:
        return "a list";
    case node_kind::map:
        return "a mapping";
    }
    return "";
}

std::string quoted_json(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            (result += '\\') += c;
        else if (static_cast<unsigned char>(c) < 0x20)
            result += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        else
            result += c;
    }
    return result + "\"";
}

bool is_resource_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
    });
}

} // namespace

std::string json_of(const node& from) {
    switch (from.kind) {
    case node_kind::null:
        return "null";
    case node_kind::scalar: {
        if (from.quoted)
            return quoted_json(from.text);
        if (from.text == "true" || from.text == "false")
            return from.text;
        if (const auto number = parse_integer(from.text))
            return std::to_string(*number);
        return quoted_json(from.text);
    }
    case node_kind::list: {
        std::string text = "[";
        for (const node& item : from.items)
            text += (text.size() > 1 ? "," : "") + json_of(item);
        return text + "]";
    }
    case node_kind::map: {
        std::string text = "{";
        for (const auto& [key, value] : from.entries)
            text += (text.size() > 1 ? "," : "") + quoted_json(key) + ":" + json_of(value);
        return text + "}";
    }
    }
    return "null";
}

void decoder::fail(const node& at, const std::string& path, std::string message) {
    wrong_.push_back({.at = at.at, .path = path, .message = std::move(message)});
}

bool decoder::expect(const node& from, node_kind kind, const std::string& path) {
    if (from.kind == kind)
        return true;
    fail(from, path, fmt::format("must be {}, not {}", name_of(kind), name_of(from.kind)));
    return false;
}

void decoder::unknown(const node& at, const std::string& path, std::string_view key,
    const std::vector<std::string_view>& known, const std::vector<std::string_view>& later) {
    std::string message = "is not supported yet by this version of composed";
    if (std::find(later.begin(), later.end(), key) == later.end()) {
        std::vector<std::string_view> all = known;
        all.insert(all.end(), later.begin(), later.end());
        const std::string near = nearest(key, all);
        message = near.empty() ? "unknown key" : fmt::format("unknown key, did you mean \"{}\"?", near);
    }
    wrong_.push_back({.at = at.key_at, .path = path, .message = std::move(message)});
}

std::string decoder::text(const node& from, const std::string& path) {
    if (from.is_null())
        return {};
    return expect(from, node_kind::scalar, path) ? from.text : std::string();
}

std::optional<bool> decoder::boolean(const node& from, const std::string& path) {
    if (!expect(from, node_kind::scalar, path))
        return std::nullopt;
    const auto value = parse_bool(from.text);
    if (!value)
        fail(from, path, fmt::format("\"{}\" is not true or false", from.text));
    return value;
}

std::optional<std::int64_t> decoder::integer(const node& from, const std::string& path) {
    if (!expect(from, node_kind::scalar, path))
        return std::nullopt;
    const auto value = parse_integer(from.text);
    if (!value)
        fail(from, path, fmt::format("\"{}\" is no whole number", from.text));
    return value;
}

std::optional<std::int64_t> decoder::bytes(const node& from, const std::string& path) {
    if (!expect(from, node_kind::scalar, path))
        return std::nullopt;
    const auto value = parse_bytes(from.text);
    if (!value)
        fail(from, path,
            fmt::format("\"{}\" is no size; write a number with b, k, m or g, like 64m", from.text));
    return value;
}

std::optional<std::chrono::nanoseconds> decoder::duration(const node& from, const std::string& path) {
    if (!expect(from, node_kind::scalar, path))
        return std::nullopt;
    const auto value = parse_duration(from.text);
    if (!value)
        fail(from, path,
            fmt::format("\"{}\" is no duration; write a number with a unit, like 10s or 1m30s", from.text));
    return value;
}

std::vector<std::string> decoder::texts(const node& from, const std::string& path) {
    std::vector<std::string> result;
    if (!expect(from, node_kind::list, path))
        return result;
    for (std::size_t index = 0; index < from.items.size(); ++index)
        result.push_back(text(from.items[index], fmt::format("{}[{}]", path, index)));
    return result;
}

std::vector<std::string> decoder::text_or_texts(const node& from, const std::string& path) {
    if (from.is_scalar())
        return {from.text};
    return texts(from, path);
}

std::map<std::string, std::optional<std::string>> decoder::pairs(const node& from, const std::string& path) {
    std::map<std::string, std::optional<std::string>> result;
    if (from.is_map()) {
        for (const auto& [key, value] : from.entries)
            if (value.is_null())
                result[key] = std::nullopt;
            else if (value.is_scalar() && !value.quoted)
                result[key] = plain_scalar_text(value.text);
            else
                result[key] = text(value, child_path(path, key));
        return result;
    }
    if (!from.is_list()) {
        fail(from, path, "must be a mapping or a list of KEY=VALUE");
        return result;
    }
    for (const std::string& item : texts(from, path)) {
        const auto equals = item.find('=');
        if (equals == std::string::npos)
            result[item] = std::nullopt;
        else
            result[item.substr(0, equals)] = item.substr(equals + 1);
    }
    return result;
}

std::map<std::string, std::string> decoder::labels(const node& from, const std::string& path) {
    std::map<std::string, std::string> result;
    for (auto& [key, value] : pairs(from, path))
        result[key] = value.value_or("");
    return result;
}

namespace {

using pool_key = decoder::field<ipam_pool>;
constexpr pool_key pool_keys[] = {
    {"subnet", [](decoder& by, const node& from, const std::string& path,
                   ipam_pool& into) { into.subnet = by.text(from, path); }},
    {"gateway", [](decoder& by, const node& from, const std::string& path,
                    ipam_pool& into) { into.gateway = by.text(from, path); }},
    {"ip_range", [](decoder& by, const node& from, const std::string& path,
                     ipam_pool& into) { into.ip_range = by.text(from, path); }},
    {"aux_addresses", [](decoder& by, const node& from, const std::string& path,
                          ipam_pool& into) { into.aux_addresses = by.labels(from, path); }},
};

using ipam_key = decoder::field<network>;
constexpr ipam_key ipam_keys[] = {
    {"driver", [](decoder& by, const node& from, const std::string& path, network&) { by.text(from, path); }},
    {"config",
        [](decoder& by, const node& from, const std::string& path, network& into) {
            if (!by.expect(from, node_kind::list, path))
                return;
            for (std::size_t index = 0; index < from.items.size(); ++index) {
                ipam_pool pool;
                by.keys(from.items[index], fmt::format("{}[{}]", path, index), pool, pool_keys);
                into.pools.push_back(std::move(pool));
            }
        }},
};

constexpr decoder::field<network> network_keys[] = {
    {"name", [](decoder& by, const node& from, const std::string& path,
                 network& into) { into.name = by.text(from, path); }},
    {"driver", [](decoder& by, const node& from, const std::string& path,
                   network& into) { into.driver = by.text(from, path); }},
    {"driver_opts", [](decoder& by, const node& from, const std::string& path,
                        network& into) { into.driver_opts = by.labels(from, path); }},
    {"external", [](decoder& by, const node& from, const std::string& path,
                     network& into) { into.external = by.boolean(from, path).value_or(false); }},
    {"internal", [](decoder& by, const node& from, const std::string& path,
                     network& into) { into.internal = by.boolean(from, path).value_or(false); }},
    {"attachable", [](decoder& by, const node& from, const std::string& path,
                       network& into) { into.attachable = by.boolean(from, path).value_or(false); }},
    {"enable_ipv4", [](decoder& by, const node& from, const std::string& path,
                        network& into) { into.enable_ipv4 = by.boolean(from, path).value_or(true); }},
    {"enable_ipv6", [](decoder& by, const node& from, const std::string& path,
                        network& into) { into.enable_ipv6 = by.boolean(from, path).value_or(false); }},
    {"ipam", [](decoder& by, const node& from, const std::string& path,
                 network& into) { by.keys(from, path, into, ipam_keys); }},
    {"labels", [](decoder& by, const node& from, const std::string& path,
                   network& into) { into.labels = by.labels(from, path); }},
};

constexpr decoder::field<volume> volume_keys[] = {
    {"name", [](decoder& by, const node& from, const std::string& path,
                 volume& into) { into.name = by.text(from, path); }},
    {"driver", [](decoder& by, const node& from, const std::string& path,
                   volume& into) { into.driver = by.text(from, path); }},
    {"driver_opts", [](decoder& by, const node& from, const std::string& path,
                        volume& into) { into.driver_opts = by.labels(from, path); }},
    {"external", [](decoder& by, const node& from, const std::string& path,
                     volume& into) { into.external = by.boolean(from, path).value_or(false); }},
    {"labels", [](decoder& by, const node& from, const std::string& path,
                   volume& into) { into.labels = by.labels(from, path); }},
};

const std::vector<std::string_view> top_keys{"name", "version", "services", "networks", "volumes"};
const std::vector<std::string_view> later_top_keys{"configs", "secrets", "include", "models"};

} // namespace

network decoder::network_of(const node& from, const std::string& path) {
    network made;
    if (!from.is_null())
        keys(from, path, made, network_keys);
    if (made.enable_ipv6 || !made.enable_ipv4)
        fail(from, path, "enable_ipv6, and enable_ipv4 switched off, are not supported yet");
    return made;
}

volume decoder::volume_of(const node& from, const std::string& path) {
    volume made;
    if (!from.is_null())
        keys(from, path, made, volume_keys);
    if (made.external && (!made.driver.empty() || !made.driver_opts.empty() || !made.labels.empty()))
        fail(from, path, "an external volume takes no driver, driver_opts or labels: it is made elsewhere");
    return made;
}

service decoder::service_of(
    const node& from, const std::string& path, decoded& into, const std::string& name) {
    service made;
    made.name = name;
    into.services_at[name] = from.at;
    service_target target{.value = made, .env_files = into.env_files[name]};
    decode_service(*this, from, path, target);
    return made;
}

decoded decoder::run(const node& tree) {
    decoded into;
    if (tree.is_null())
        return into;
    if (!expect(tree, node_kind::map, {}))
        return into;
    const auto each_of = [&](const node& from, const std::string& path, auto&& read) {
        if (from.is_null() && path != "services")
            return;
        if (!expect(from, node_kind::map, path))
            return;
        for (const auto& [name, value] : from.entries) {
            if (!is_resource_name(name))
                fail(value, child_path(path, name),
                    "a name has letters, digits, and the characters . _ - only");
            else
                read(name, value, child_path(path, name));
        }
    };
    for (const auto& [key, value] : tree.entries) {
        if (key == "name")
            into.value.name = text(value, key);
        else if (key == "version")
            into.has_version = true;
        else if (key == "services")
            each_of(value, key, [&](const std::string& name, const node& from, const std::string& path) {
                into.value.services.emplace(name, service_of(from, path, into, name));
            });
        else if (key == "networks")
            each_of(value, key, [&](const std::string& name, const node& from, const std::string& path) {
                into.value.networks.emplace(name, network_of(from, path));
            });
        else if (key == "volumes")
            each_of(value, key, [&](const std::string& name, const node& from, const std::string& path) {
                into.value.volumes.emplace(name, volume_of(from, path));
            });
        else if (key.starts_with("x-"))
            into.value.extra[key] = json_of(value);
        else
            unknown(value, key, key, top_keys, later_top_keys);
    }
    return into;
}

} // namespace compose
