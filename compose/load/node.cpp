#include "compose/load/node.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>
#include <sstream>

namespace compose {

node::node() = default;
node::node(const node&) = default;
node::node(node&&) noexcept = default;
node& node::operator=(const node&) = default;
node& node::operator=(node&&) noexcept = default;
node::~node() = default;

const node* node::find(std::string_view key) const noexcept {
    for (const auto& [name, value] : entries)
        if (name == key)
            return &value;
    return nullptr;
}

node* node::find(std::string_view key) noexcept {
    return const_cast<node*>(static_cast<const node*>(this)->find(key));
}

std::string child_path(const std::string& path, std::string_view key) {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

namespace {

/// Writes a yaml-cpp tree out as ours, counting what it makes.
class converter {
  public:
    converter(const std::string& file, const yaml_limits& limits)
        : file_(std::make_shared<const std::string>(file)), limits_(limits) {}

    node convert(const YAML::Node& from, const std::string& path, std::size_t depth) {
        node made;
        made.at = place(from.Mark());
        if (++nodes_ > limits_.nodes)
            fail(made.at, path,
                fmt::format("more than {} values once aliases are written out", limits_.nodes));
        if (depth > limits_.depth)
            fail(made.at, path, fmt::format("nested deeper than {} levels", limits_.depth));
        read_tag(from, made, path);
        switch (from.Type()) {
        case YAML::NodeType::Undefined:
        case YAML::NodeType::Null:
            break;
        case YAML::NodeType::Scalar:
            made.kind = node_kind::scalar;
            made.text = from.Scalar();
            if (!made.quoted && (made.text.empty() || made.text == "~" || made.text == "null" ||
                                    made.text == "Null" || made.text == "NULL"))
                made.kind = node_kind::null;
            break;
        case YAML::NodeType::Sequence:
            made.kind = node_kind::list;
            for (std::size_t index = 0; index < from.size(); ++index)
                made.items.push_back(convert(from[index], fmt::format("{}[{}]", path, index), depth + 1));
            break;
        case YAML::NodeType::Map:
            made.kind = node_kind::map;
            convert_map(from, made, path, depth);
            break;
        }
        return made;
    }

  private:
    position place(const YAML::Mark& mark) const {
        return {.file = file_,
            .line = mark.is_null() ? 0 : mark.line + 1,
            .column = mark.is_null() ? 0 : mark.column + 1};
    }

    [[noreturn]] void fail(const position& at, const std::string& path, std::string message) const {
        throw_load_error(at, path, std::move(message));
    }

    void read_tag(const YAML::Node& from, node& made, const std::string& path) const {
        const std::string& tag = from.Tag();
        if (tag == "!reset")
            made.tag = merge_tag::reset;
        else if (tag == "!override")
            made.tag = merge_tag::replace;
        else if (tag == "!" || tag == "tag:yaml.org,2002:str" || tag == "!!str")
            made.quoted = true;
        else if (!tag.empty() && tag != "?" && !tag.starts_with("tag:yaml.org,2002:"))
            fail(made.at, path, fmt::format("unknown tag {}; there are !reset and !override", tag));
    }

    void convert_map(const YAML::Node& from, node& made, const std::string& path, std::size_t depth) {
        std::vector<node> merged; // what `<<` brings, nearest first
        std::set<std::string> seen;
        for (const auto& pair : from) {
            const position at = place(pair.first.Mark());
            if (!pair.first.IsScalar())
                fail(at, path, "a key must be a string");
            const std::string& key = pair.first.Scalar();
            if (key == "<<" && pair.first.Tag() != "!") {
                add_merges(pair.second, merged, path, depth);
                continue;
            }
            if (!seen.insert(key).second)
                fail(at, child_path(path, key), "the key is there twice");
            node value = convert(pair.second, child_path(path, key), depth + 1);
            value.key_at = at;
            if (value.at.line == 0 || value.is_null())
                value.at = at;
            made.entries.emplace_back(key, std::move(value));
        }
        for (node& source : merged)
            for (auto& [key, value] : source.entries)
                if (made.find(key) == nullptr)
                    made.entries.emplace_back(key, std::move(value));
    }

    void add_merges(
        const YAML::Node& from, std::vector<node>& merged, const std::string& path, std::size_t depth) {
        node value = convert(from, path, depth + 1);
        if (value.is_map()) {
            merged.push_back(std::move(value));
            return;
        }
        if (!value.is_list())
            fail(value.at, path, "<< takes a mapping or a list of mappings");
        for (node& item : value.items) {
            if (!item.is_map())
                fail(item.at, path, "<< takes a mapping or a list of mappings");
            merged.push_back(std::move(item));
        }
    }

    std::shared_ptr<const std::string> file_;
    const yaml_limits& limits_;
    std::size_t nodes_ = 0;
};

// yaml-cpp has no depth of its own for flow collections before it recurses (its issue 655): looked at
// beforehand.
void check_flow_depth(std::string_view text, const std::string& file, std::size_t most) {
    std::size_t depth = 0;
    for (const char c : text) {
        if (c == '[' || c == '{')
            ++depth;
        else if ((c == ']' || c == '}') && depth > 0)
            --depth;
        if (depth > most * 16)
            throw_load_error({.file = std::make_shared<const std::string>(file)}, {},
                fmt::format("nested deeper than {} levels", most));
    }
}

} // namespace

std::vector<node> parse_yaml(std::string_view text, const std::string& file, const yaml_limits& limits) {
    const position whole{.file = std::make_shared<const std::string>(file)};
    if (text.size() > limits.bytes)
        throw_load_error(whole, {}, fmt::format("larger than {} bytes", limits.bytes));
    if (text.starts_with("\xef\xbb\xbf"))
        text.remove_prefix(3);
    check_flow_depth(text, file, limits.depth);
    try {
        std::vector<node> documents;
        converter convert(file, limits);
        for (const YAML::Node& document : YAML::LoadAll(std::string(text)))
            documents.push_back(convert.convert(document, {}, 0));
        return documents;
    } catch (const YAML::Exception& failure) {
        position at = whole;
        if (!failure.mark.is_null()) {
            at.line = failure.mark.line + 1;
            at.column = failure.mark.column + 1;
        }
        throw_load_error(at, {}, fmt::format("not YAML: {}", failure.msg));
    }
}

} // namespace compose
