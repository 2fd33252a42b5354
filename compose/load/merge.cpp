#include "compose/load/merge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace compose {

namespace {

// The part of a path that decides: services.web.command and services.db.command are both
// "services.*.command".
std::string pattern_of(const std::string& path) {
    std::string pattern;
    std::size_t begin = 0;
    for (int part = 0; begin <= path.size(); ++part) {
        const auto end = std::min(path.find('.', begin), path.size());
        if (part > 0)
            pattern += '.';
        pattern += part == 1 ? std::string("*") : path.substr(begin, end - begin);
        begin = end + 1;
    }
    return pattern;
}

constexpr std::array<std::string_view, 4> replaced_whole{
    "services.*.command", "services.*.entrypoint", "services.*.healthcheck.test", "services.*.extends"};

// Lists of KEY=VALUE that are a mapping in another form.
constexpr std::array<std::string_view, 9> pair_lists{"services.*.environment", "services.*.labels",
    "services.*.annotations", "services.*.sysctls", "services.*.build.args", "services.*.build.labels",
    "services.*.deploy.labels", "networks.*.labels", "volumes.*.labels"};

// Lists of names that are a mapping with nothing said about each.
constexpr std::array<std::string_view, 2> name_lists{"services.*.networks", "services.*.depends_on"};

// A single string stands for a list of one.
constexpr std::array<std::string_view, 6> string_lists{"services.*.dns", "services.*.dns_search",
    "services.*.dns_opt", "services.*.env_file", "services.*.label_file", "services.*.tmpfs"};

template <std::size_t Size>
bool contains(const std::array<std::string_view, Size>& patterns, const std::string& pattern) {
    return std::find(patterns.begin(), patterns.end(), pattern) != patterns.end();
}

node scalar_at(const node& place, std::string text) {
    node made;
    made.kind = node_kind::scalar;
    made.text = std::move(text);
    made.quoted = true;
    made.at = place.at;
    return made;
}

void pairs_to_map(node& value) {
    if (!value.is_list())
        return;
    node map;
    map.kind = node_kind::map;
    map.at = value.at;
    map.tag = value.tag;
    for (node& item : value.items) {
        const auto equals = item.text.find('=');
        node entry;
        entry.at = item.at;
        if (equals != std::string::npos)
            entry = scalar_at(item, item.text.substr(equals + 1));
        const std::string key = item.text.substr(0, equals);
        if (node* there = map.find(key))
            *there = std::move(entry);
        else
            map.entries.emplace_back(key, std::move(entry));
    }
    value = std::move(map);
}

void names_to_map(node& value) {
    if (!value.is_list())
        return;
    node map;
    map.kind = node_kind::map;
    map.at = value.at;
    map.tag = value.tag;
    for (node& item : value.items) {
        node empty;
        empty.at = item.at;
        if (map.find(item.text) == nullptr)
            map.entries.emplace_back(item.text, std::move(empty));
    }
    value = std::move(map);
}

void string_to_list(node& value) {
    if (!value.is_scalar())
        return;
    node list;
    list.kind = node_kind::list;
    list.at = value.at;
    list.items.push_back(std::move(value));
    value = std::move(list);
}

// build: CONTEXT is build: {context: CONTEXT}.
void build_to_map(node& value) {
    if (!value.is_scalar())
        return;
    node map;
    map.kind = node_kind::map;
    map.at = value.at;
    node context = std::move(value);
    map.entries.emplace_back("context", std::move(context));
    value = std::move(map);
}

void write_out(node& value, const std::string& pattern) {
    if (contains(pair_lists, pattern))
        pairs_to_map(value);
    else if (contains(name_lists, pattern))
        names_to_map(value);
    else if (contains(string_lists, pattern))
        string_to_list(value);
    else if (pattern == "services.*.build")
        build_to_map(value);
}

void merge_maps(node& base, node over, const std::string& path) {
    for (auto& [key, value] : over.entries) {
        node* there = base.find(key);
        if (there == nullptr)
            base.entries.emplace_back(key, std::move(value));
        else
            *there = merge(std::move(*there), std::move(value), child_path(path, key));
    }
}

} // namespace

node merge(node base, node over, const std::string& path) {
    if (over.tag != merge_tag::none)
        return over; // a reset stays as a mark until drop_resets()
    if (over.is_null())
        return base;
    if (base.is_null() || base.tag == merge_tag::reset)
        return over;
    const std::string pattern = pattern_of(path);
    if (contains(replaced_whole, pattern))
        return over;
    write_out(base, pattern);
    write_out(over, pattern);
    if (base.is_map() && over.is_map()) {
        // Options of another driver mean nothing to this one.
        if (pattern == "services.*.logging") {
            const node* before = base.find("driver");
            const node* now = over.find("driver");
            if (before != nullptr && now != nullptr && before->text != now->text)
                return over;
        }
        merge_maps(base, std::move(over), path);
        return base;
    }
    if (base.is_list() && over.is_list()) {
        for (node& item : over.items)
            base.items.push_back(std::move(item));
        return base;
    }
    return over;
}

void drop_resets(node& tree) {
    std::erase_if(tree.items, [](const node& item) { return item.tag == merge_tag::reset; });
    std::erase_if(tree.entries, [](const auto& entry) { return entry.second.tag == merge_tag::reset; });
    for (node& item : tree.items)
        drop_resets(item);
    for (auto& [key, value] : tree.entries)
        drop_resets(value);
}

} // namespace compose
