#include "compose/load/long_form.hpp"

#include "compose/load/scalar.hpp"
#include "compose/load/short_syntax.hpp"
#include "compose/model/error.hpp"
#include "compose/model/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace compose::long_form {

namespace {

[[noreturn]] void fail(std::string message) {
    throw error(error_kind::invalid, message);
}

/// Of an item of the value that is written out.
[[noreturn]] void fail_at(const node& item, std::size_t index, std::string message) {
    throw_load_error(item.at,
        fmt::format("[{}]", item.item < 0 ? index : static_cast<std::size_t>(item.item)), std::move(message));
}

std::string text_of(const node& item) {
    if (!item.is_scalar())
        fail("must be a string");
    return item.quoted ? item.text : plain_scalar_text(item.text);
}

void put_text(node& into, std::string_view key, const std::string& text) {
    if (!text.empty())
        add_member(into, std::string(key), text_node(into, text));
}

/// A list of NAME=VALUE as a map; the later of two stays.
void pairs(node& value, bool null_for_none) {
    if (!value.is_list())
        return;
    node map = map_node(value);
    std::map<std::string, std::size_t> places;
    for (std::size_t index = 0; index < value.items.size(); ++index) {
        const node& item = value.items[index];
        const auto fail_here = [&](std::string message) { fail_at(item, index, std::move(message)); };
        if (item.is_map() && item.entries.size() == 1 && item.entries.front().second.is_scalar())
            fail_here(
                fmt::format("must be NAME=VALUE, not a mapping; write {}={}, or no dashes in all of the list",
                    item.entries.front().first, item.entries.front().second.text));
        if (!item.is_scalar())
            fail_here("must be NAME=VALUE");
        if (kind_of(item) != scalar_kind::text)
            fail_here(fmt::format("must be NAME=VALUE; quote it: \"{}\"", item.text));
        const std::string text = text_of(item);
        const auto equals = text.find('=');
        node entry = text_node(item, equals == std::string::npos ? std::string() : text.substr(equals + 1));
        if (equals == std::string::npos && null_for_none)
            entry = node{};
        entry.at = item.at;
        entry.tag = item.tag;
        entry.item = item.item;
        const std::string key = text.substr(0, equals);
        if (null_for_none && key.ends_with(' '))
            fail_here(fmt::format("\"{}\": a name ends before its =, without a space", key));
        const auto [place, fresh] = places.emplace(key, map.entries.size());
        if (fresh)
            add_member(map, key, std::move(entry));
        else
            map.entries[place->second].second = std::move(entry);
    }
    value = std::move(map);
}

} // namespace

void words(node& value) {
    if (!value.is_scalar())
        return;
    if (kind_of(value) != scalar_kind::text)
        fail(
            fmt::format("must be a string or a list of strings, not a number; quote it: \"{}\"", value.text));
    node list = list_node(value);
    for (std::string& word : split_command(value.text))
        list.items.push_back(text_node(value, std::move(word)));
    value = std::move(list);
}

void one_as_list(node& value) {
    if (!value.is_scalar())
        return;
    node list = list_node(value);
    list.lone = true;
    value.item = -1;
    list.items.push_back(std::move(value));
    value = std::move(list);
}

void servers(node& value) {
    one_as_list(value);
    std::erase_if(value.items, [](const node& item) { return item.is_scalar() && item.text.empty(); });
}

void sequence(node& value) {
    one_as_list(value);
    if (!value.is_map())
        return;
    node list = list_node(value);
    const auto add = [&](const std::string& key, const node& each) {
        node item = text_node(each, each.is_null() ? key : fmt::format("{}={}", key, text_of(each)));
        item.tag = each.tag;
        list.items.push_back(std::move(item));
    };
    for (const auto& [key, inner] : value.entries)
        if (inner.is_list())
            for (const node& each : inner.items)
                add(key, each);
        else
            add(key, inner);
    std::sort(list.items.begin(), list.items.end(),
        [](const node& one, const node& other) { return one.text < other.text; });
    value = std::move(list);
}

void variables(node& value) {
    pairs(value, true);
}

void agents(node& value) {
    const bool listed = value.is_list();
    pairs(value, true);
    if (!listed)
        return;
    for (const auto& [name, from] : value.entries)
        if (from.is_null() && name != "default" && name.find('$') == std::string::npos)
            throw_load_error(from.at, {},
                fmt::format("\"{}\" names no key and no socket; write {}=PATH, or default", name, name));
}

void labels(node& value) {
    pairs(value, false);
    for (auto& [key, inner] : value.entries)
        if (inner.is_null() && inner.tag == merge_tag::none)
            inner = text_node(inner, {});
}

void hosts(node& value) {
    node map = map_node(value);
    std::unordered_map<std::string, std::size_t> places;
    const auto add = [&](const std::string& name, const node& place, std::string address, int item) {
        if (name.empty())
            throw_load_error(place.at, item < 0 ? std::string() : fmt::format("[{}]", item),
                fmt::format("\"{}\" is the address of no name; write NAME=ADDRESS", address));
        if (address.starts_with('[') && address.ends_with(']'))
            address = address.substr(1, address.size() - 2);
        const auto [known, fresh] = places.emplace(name, map.entries.size());
        if (fresh)
            add_member(map, name, list_node(place));
        node& addresses = map.entries[known->second].second;
        addresses.items.push_back(text_node(place, std::move(address)));
        addresses.items.back().item = item;
    };
    if (value.is_map()) {
        for (const auto& [name, inner] : value.entries) {
            if (inner.tag == merge_tag::reset)
                add_member(map, name, inner);
            else if (inner.is_list())
                for (const node& each : inner.items)
                    add(name, each, text_of(each), -1);
            else if (inner.is_scalar() && kind_of(inner) == scalar_kind::text)
                add(name, inner, inner.text, -1);
            else
                throw_load_error(inner.at, "." + name, "must be an address or a list of addresses");
        }
    } else if (value.is_list()) {
        for (std::size_t index = 0; index < value.items.size(); ++index) {
            const node& item = value.items[index];
            if (!item.is_scalar())
                fail_at(item, index, "must be NAME=ADDRESS");
            const std::string entry = text_of(item);
            const auto split = entry.find('=') != std::string::npos ? entry.find('=') : entry.find(':');
            if (split == std::string::npos)
                fail_at(item, index, fmt::format("\"{}\": write NAME=ADDRESS", entry));
            add(entry.substr(0, split), item, entry.substr(split + 1), item.item);
        }
    } else {
        return;
    }
    value = std::move(map);
}

void names(node& value) {
    if (!value.is_list())
        return;
    node map = map_node(value);
    std::unordered_set<std::string> seen;
    for (std::size_t index = 0; index < value.items.size(); ++index) {
        const node& item = value.items[index];
        node empty;
        empty.at = item.at;
        empty.key_at = item.at;
        empty.item = item.item;
        if (!item.is_scalar())
            fail_at(item, index, "must be a name");
        const std::string name = text_of(item);
        if (!seen.insert(name).second)
            fail_at(item, index, fmt::format("\"{}\" is there twice", name));
        add_member(map, name, std::move(empty));
    }
    value = std::move(map);
}

void dependencies(node& value) {
    if (!value.is_list())
        return;
    names(value);
    for (auto& [name, how] : value.entries) {
        const int item = std::exchange(how, map_node(how)).item;
        how.item = item;
        add_member(how, "condition", text_node(how, "service_started"));
        add_member(how, "required", literal_node(how, "true"));
    }
}

namespace {

void one_as_member(node& value, const char* key) {
    if (!value.is_scalar())
        return;
    if (kind_of(value) != scalar_kind::text)
        fail(fmt::format("must be a string or a mapping, not a number; quote it: \"{}\"", value.text));
    node map = map_node(value);
    map.item = value.item;
    add_member(map, key, text_node(value, text_of(value)));
    value = std::move(map);
}

} // namespace

void build(node& value) {
    one_as_member(value, "context");
}

void extended(node& value) {
    one_as_member(value, "service");
}

void health_test(node& value) {
    if (value.is_scalar() && kind_of(value) != scalar_kind::text)
        fail(fmt::format("must be a string or a list of strings; quote it: \"{}\"", value.text));
    if (value.is_scalar()) {
        node list = list_node(value);
        list.items.push_back(text_node(value, "CMD-SHELL"));
        list.items.push_back(text_node(value, text_of(value)));
        value = std::move(list);
    } else if (value.is_list() && !value.items.empty()) {
        const std::string& first = value.items.front().text;
        if (first != "CMD" && first != "CMD-SHELL" && first != "NONE")
            fail(fmt::format("begins with \"{}\"; a list begins with CMD, CMD-SHELL or NONE", first));
    }
}

void env_files(node& value) {
    one_as_list(value);
    for (node& item : value.items) {
        one_as_member(item, "path");
        if (item.is_map() && item.find("required") == nullptr)
            add_member(item, "required", literal_node(item, "true"));
    }
}

void gpus(node& value) {
    if (!value.is_scalar())
        return;
    if (value.text != "all")
        fail(fmt::format("\"{}\": write all, or a list of what to reserve", value.text));
    node item = map_node(value);
    add_member(item, "count", text_node(value, "all"));
    node list = list_node(value);
    list.items.push_back(std::move(item));
    value = std::move(list);
}

void device_request(node& value) {
    if (!value.is_map())
        return;
    const bool counted = value.find("count") != nullptr;
    const bool named = value.find("device_ids") != nullptr;
    if (counted && named)
        fail("count and device_ids exclude one another");
    if (!counted && !named)
        add_member(value, "count", text_node(value, "all"));
}

void device_count(node& value) {
    if (value.is_scalar() && value.text == "all")
        value = literal_node(value, "-1");
}

void external(node& value) {
    node* found = value.find("external");
    if (found == nullptr || !found->is_map())
        return;
    const node* name = found->find("name");
    if (found->entries.size() != (name == nullptr ? 0 : 1))
        fail("external is true or false, or the old form {name: NAME}");
    node kept = name == nullptr ? node() : *name;
    *found = literal_node(*found, "true");
    if (kept.is_null())
        return;
    if (const node* own = value.find("name"); own == nullptr)
        add_member(value, "name", std::move(kept));
    else if (own->text != kept.text)
        fail("name and external.name differ; write name alone, with external: true");
}

std::vector<std::string> external_remarks(const node& resource) {
    const node* found = resource.find("external");
    if (found == nullptr || found->find("name") == nullptr)
        return {};
    return {"external.name is deprecated; write name beside it, and external: true"};
}

void include(node& value) {
    one_as_list(value);
    for (node& item : value.items)
        if (item.is_scalar()) {
            node path = list_node(item);
            path.items.push_back(item);
            path.items.back().item = -1;
            node map = map_node(item);
            add_member(map, "path", std::move(path));
            item = std::move(map);
        }
}

void permissions(node& value) {
    if (!value.is_scalar())
        return;
    const scalar_kind kind = kind_of(value);
    // Quoted it is octal by its sense, plain by YAML's rules.
    const auto mode =
        kind == scalar_kind::integer ? parse_integer(value.text) : parse_integer("0" + value.text);
    if (value.text.empty() || !mode || *mode < 0)
        fail(fmt::format("\"{}\" is no file mode, like 0440", value.text));
    value = text_node(value, fmt::format("0{:o}", *mode));
}

std::vector<node> port(const node& item) {
    if (item.is_map()) {
        node made = item;
        if (made.find("mode") == nullptr)
            add_member(made, "mode", text_node(item, "ingress"));
        if (made.find("protocol") == nullptr)
            add_member(made, "protocol", text_node(item, "tcp"));
        return {made};
    }
    if (item.is_scalar() && kind_of(item) == scalar_kind::number)
        fail(fmt::format("\"{}\" is no port", item.text));
    std::vector<node> ports;
    for (const compose::port& each : parse_port(text_of(item))) {
        node made = map_node(item);
        put_text(made, "mode", each.mode);
        put_text(made, "host_ip", each.host_ip);
        add_member(made, "target", literal_node(item, std::to_string(each.target)));
        put_text(made, "published", each.published);
        put_text(made, "protocol", each.protocol);
        ports.push_back(std::move(made));
    }
    return ports;
}

namespace {

void put_options(node& into, const compose::mount& from) {
    const bool bind = from.type == mount_type::bind;
    node options = map_node(into);
    if (bind)
        add_member(options, "create_host_path", literal_node(into, "true"));
    put_text(options, "propagation", from.propagation);
    put_text(options, "selinux", from.selinux);
    if (bind || !options.entries.empty())
        add_member(into, "bind", std::move(options));
    node of_volume = map_node(into);
    if (from.nocopy)
        add_member(of_volume, "nocopy", literal_node(into, "true"));
    if (!bind || from.nocopy)
        add_member(into, "volume", std::move(of_volume));
}

} // namespace

std::vector<node> mount(const node& item) {
    node made = map_node(item);
    if (item.is_map()) {
        made = item;
    } else {
        if (item.is_scalar() && kind_of(item) != scalar_kind::text)
            fail(fmt::format("must be a string, not a number; quote it: \"{}\"", item.text));
        const compose::mount from = parse_mount(text_of(item));
        put_text(made, "type", from.type == mount_type::bind ? "bind" : "volume");
        put_text(made, "source", from.source);
        put_text(made, "target", from.target);
        if (from.read_only)
            add_member(made, "read_only", literal_node(item, "true"));
        put_options(made, from);
    }
    if (node* target = made.find("target");
        target != nullptr && !target->text.empty() &&
        (target->text[0] == '/' || target->text.find('$') == std::string::npos)) {
        std::string clean = std::filesystem::path(target->text).lexically_normal().native();
        if (clean.size() > 1 && clean.ends_with('/'))
            clean.pop_back();
        target->text = std::move(clean);
    }
    return {made};
}

std::vector<std::string> mount_remarks(const node& item) {
    std::vector<std::string> remarks;
    if (!item.is_scalar() || kind_of(item) != scalar_kind::text)
        return remarks;
    for (const std::string& mode : unknown_modes(text_of(item))) {
        const std::string near = nearest_mode(mode);
        remarks.push_back(
            fmt::format("\"{}\": there is no mode \"{}\", it has no effect; {}", item.text, mode,
                near.empty() ? "there are ro, rw, z, Z, nocopy and those of propagation like rslave"
                             : fmt::format("did you mean \"{}\"?", near)));
    }
    return remarks;
}

std::vector<node> file_reference(const node& item) {
    if (!item.is_scalar())
        return {item};
    node made = map_node(item);
    add_member(made, "source", text_node(item, text_of(item)));
    return {made};
}

std::vector<node> device(const node& item) {
    if (!item.is_scalar())
        return {item};
    if (kind_of(item) != scalar_kind::text)
        fail(fmt::format("must be a string, not a number; quote it: \"{}\"", item.text));
    const std::string text = item.text;
    std::vector<std::string> parts = split_outside_braces(text, ':');
    if (parts.size() > 3)
        fail(fmt::format("\"{}\": write SOURCE[:TARGET[:PERMISSIONS]]", text));
    if (parts.size() < 2)
        parts.emplace_back();
    if (parts[1].empty())
        parts[1] = parts[0];
    node made = map_node(item);
    put_text(made, "source", parts[0]);
    put_text(made, "target", parts[1]);
    put_text(made, "permissions", parts.size() < 3 ? "rwm" : parts[2]);
    return {made};
}

std::string by_value(const node& item) {
    return item.text;
}

std::string by_name(const node& item) {
    return item.text.substr(0, item.text.find('='));
}

std::string by_target(const node& item) {
    const std::string target = item.text_at("target");
    return target.empty() ? "source " + item.text_at("source") : target;
}

std::string by_config_target(const node& item) {
    const std::string target = item.text_at("target");
    return target.empty() ? "/" + item.text_at("source") : target;
}

std::string by_secret_target(const node& item) {
    const std::string target = item.text_at("target");
    return target.empty() ? "/run/secrets/" + item.text_at("source") : target;
}

std::string by_port(const node& item) {
    const std::string address = item.text_at("host_ip");
    return fmt::format("{}:{}:{}/{}", address.empty() ? "0.0.0.0" : address, item.text_at("published"),
        item.text_at("target"), item.text_at("protocol"));
}

std::string by_path(const node& item) {
    return item.text_at("path");
}

std::string by_subnet(const node& item) {
    return item.text_at("subnet");
}

} // namespace compose::long_form
