#include "compose/load/node.hpp"

#include "compose/model/units.hpp"

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

    /// Where the last quoted scalar begins; -1 when there is none. yaml-cpp takes a quote that is not closed
    /// for one that ends with the file.
    YAML::Mark last_quoted() const { return last_quoted_; }

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
            if (from.Tag() == "!" && from.Mark().pos > last_quoted_.pos)
                last_quoted_ = from.Mark();
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
            if (pair.first.Tag() == "?" && number_form_of(key) != number_form::none)
                fail(at, path, fmt::format("a key must be a string; quote it: \"{}\"", key));
            if (pair.first.Tag() == "!" && pair.first.Mark().pos > last_quoted_.pos)
                last_quoted_ = pair.first.Mark();
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
    YAML::Mark last_quoted_ = YAML::Mark::null_mark();
};

/// Whether the quoted scalar at (or after tags and anchors, behind) an offset has an end.
bool quote_is_closed(std::string_view text, std::size_t from) {
    const auto begin = text.find_first_of("'\"", from);
    if (begin == std::string_view::npos)
        return true;
    const char quote = text[begin];
    for (std::size_t at = begin + 1; at < text.size(); ++at) {
        if (text[at] == '\\' && quote == '"')
            ++at;
        else if (text[at] == quote && quote == '\'' && at + 1 < text.size() && text[at + 1] == quote)
            ++at;
        else if (text[at] == quote)
            return true;
    }
    return false;
}

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

/// YAML has no control characters (YAML 1.2, 5.1), and yaml-cpp takes a NUL for the end, again and again.
void check_characters(std::string_view text, const std::string& file) {
    int line = 1;
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto c = static_cast<unsigned char>(text[at]);
        const std::size_t size = utf8_size(text.substr(at));
        if (c == '\n') {
            ++line;
            begin = at + 1;
        } else if (size == 0) {
            throw_load_error({.file = std::make_shared<const std::string>(file),
                                 .line = line,
                                 .column = static_cast<int>(at - begin) + 1},
                {}, fmt::format("not YAML: the byte 0x{:02x} is no UTF-8", c));
        } else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
            throw_load_error({.file = std::make_shared<const std::string>(file),
                                 .line = line,
                                 .column = static_cast<int>(at - begin) + 1},
                {}, fmt::format("not YAML: the control character 0x{:02x}", c));
        }
        at += size > 1 ? size - 1 : 0;
    }
}

} // namespace

std::vector<node> parse_yaml(std::string_view text, const std::string& file, const yaml_limits& limits) {
    const position whole{.file = std::make_shared<const std::string>(file)};
    if (text.size() > limits.bytes)
        throw_load_error(whole, {}, fmt::format("larger than {} bytes", limits.bytes));
    if (text.starts_with("\xef\xbb\xbf"))
        text.remove_prefix(3);
    check_characters(text, file);
    check_flow_depth(text, file, limits.depth);
    try {
        std::vector<node> documents;
        converter convert(file, limits);
        for (const YAML::Node& document : YAML::LoadAll(std::string(text)))
            documents.push_back(convert.convert(document, {}, 0));
        if (const YAML::Mark last = convert.last_quoted();
            !last.is_null() && !quote_is_closed(text, static_cast<std::size_t>(last.pos)))
            throw YAML::ParserException(last, "the quote is not closed");
        return documents;
    } catch (const YAML::Exception& failure) {
        position at = whole;
        if (!failure.mark.is_null()) {
            at.line = failure.mark.line + 1;
            at.column = failure.mark.column + 1;
        }
        // What it says at the end of a file, when a quote has swallowed what would close the bracket.
        const bool open =
            failure.msg == YAML::ErrorMsg::END_OF_MAP_FLOW || failure.msg == YAML::ErrorMsg::END_OF_SEQ_FLOW;
        throw_load_error(at, {},
            fmt::format("not YAML: {}", open ? "a { or [, or a quote after it, is not closed" : failure.msg));
    }
}

} // namespace compose
