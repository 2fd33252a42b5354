#include "compose/load/yaml.hpp"

#include "compose/load/scalar.hpp"
#include "compose/load/yaml_fault.hpp"
#include "compose/model/units.hpp"

#include <fmt/format.h>
#include <yaml-cpp/binary.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <set>
#include <sstream>

namespace compose {

namespace {

/// Makes our tree of what yaml-cpp finds, event by event, and keeps count of what it makes.
class tree_builder final : public YAML::EventHandler {
  public:
    tree_builder(std::string_view text, const std::string& file, const yaml_limits& limits)
        : text_(text), file_(std::make_shared<const std::string>(file)), limits_(limits) {}

    /// Where the last quoted scalar begins; null when there is none. yaml-cpp takes a quote that is not
    /// closed for one that ends with the file.
    const YAML::Mark& last_quoted() const { return last_quoted_; }

    std::vector<node> take() { return std::move(documents_); }

    /// What is wrong with it although it is YAML; what is taken has that not.
    std::vector<diagnostic> take_wrong() { return std::move(wrong_); }

    void OnDocumentStart(const YAML::Mark& mark) override {
        // For what can begin no value, as a comma, yaml-cpp reads empty documents for ever.
        if (!documents_.empty() && mark.pos <= document_at_)
            throw YAML::ParserException(
                mark, fmt::format("a value cannot begin with {}", text_.substr(size_t_of(mark.pos), 1)));
        document_at_ = mark.pos;
        anchored_.clear();
    }
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        refuse_as_key(mark);
        if (!open_.empty() && open_.back().made.is_list() && text_.substr(size_t_of(mark.pos), 1) == ",")
            fail(place(mark), "there is nothing before this comma");
        put(begin(mark, {}), anchor);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
        const std::string& text) override {
        if (tag == "!" && mark.pos > last_quoted_.pos)
            last_quoted_ = mark;
        if (awaits_key()) {
            node key;
            key.at = place(mark);
            key.quoted = tag != "?";
            key.kind = node_kind::scalar;
            key.text = tag == binary_tag ? decoded(text, key.at) : text;
            if (anchor != 0)
                anchored_[anchor] = key;
            take_key(key);
            return;
        }
        node made = begin(mark, tag);
        if (!is_of_tag(text, tag))
            note(made.at, fmt::format("\"{}\" is no !!{}", text, tag.substr(core_tags.size())));
        made.text = tag == binary_tag ? decoded(text, made.at) : text;
        made.kind = !made.quoted && is_null_text(text) ? node_kind::null : node_kind::scalar;
        put(std::move(made), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchored_.find(anchor);
        if (found == anchored_.end())
            fail(place(mark), "an alias within the value it stands for");
        if (awaits_key()) {
            if (!found->second.is_scalar())
                refuse_as_key(mark);
            take_key(found->second);
            return;
        }
        charge(found->second, place(mark));
        put(found->second, 0);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
        YAML::EmitterStyle::value /*style*/) override {
        open(mark, tag, anchor, node_kind::list);
    }
    void OnSequenceEnd() override { close(); }

    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
        YAML::EmitterStyle::value /*style*/) override {
        open(mark, tag, anchor, node_kind::map);
    }
    void OnMapEnd() override { close(); }

  private:
    /// A list or map whose end is not yet read.
    struct collection {
        node made;
        YAML::anchor_t anchor = 0;
        std::optional<node> key;    // of a map: whose value is awaited
        std::set<std::string> seen; // of a map: its keys
        std::vector<node> merged;   // of a map: what `<<` brings, nearest first
    };

    static constexpr std::string_view core_tags = "tag:yaml.org,2002:";
    static constexpr std::string_view binary_tag = "tag:yaml.org,2002:binary";

    /// Whether the text is what the tag of a scalar says.
    static bool is_of_tag(const std::string& text, std::string_view tag) {
        if (!tag.starts_with(core_tags))
            return true;
        node plain;
        plain.text = text;
        const std::string_view name = tag.substr(core_tags.size());
        const scalar_kind kind = kind_of(plain);
        return name == "int"     ? kind == scalar_kind::integer
               : name == "float" ? kind == scalar_kind::integer || kind == scalar_kind::number
               : name == "bool"  ? kind == scalar_kind::boolean
               : name == "null"  ? is_null_text(text)
                                 : true;
    }

    static std::size_t size_t_of(int offset) { return static_cast<std::size_t>(std::max(offset, 0)); }

    static bool is_null_text(std::string_view text) {
        return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
    }

    position place(const YAML::Mark& mark) const {
        return {.file = file_,
            .line = mark.is_null() ? 0 : mark.line + 1,
            .column = mark.is_null() ? 0 : mark.column + 1};
    }

    /// Where the value that is being read stands in the document.
    std::string path() const {
        std::string said;
        for (const collection& around : open_) {
            if (around.made.is_list())
                said += fmt::format("[{}]", around.made.items.size());
            else if (around.key)
                said = child_path(said, around.key->text);
        }
        return said;
    }

    [[noreturn]] void fail(const position& at, std::string message) const {
        throw_load_error(at, path(), std::move(message));
    }

    /// Told with all that follows it.
    void note(const position& at, std::string message) {
        constexpr std::size_t most = 100; // nobody reads more
        if (wrong_.size() < most)
            wrong_.push_back({.at = at, .path = path(), .message = std::move(message)});
    }

    /// What base64 stands for; the values of Compose are texts.
    std::string decoded(const std::string& text, const position& at) {
        std::string digits = text;
        std::erase_if(digits, [](unsigned char c) { return std::isspace(c) != 0; });
        const std::vector<unsigned char> bytes = YAML::DecodeBase64(digits);
        if (digits.size() % 4 != 0 || bytes.empty() != digits.empty())
            note(at, "!!binary takes base64, like aGVsbG8=");
        std::string made(bytes.begin(), bytes.end());
        for (std::size_t index = 0; index < made.size();) {
            const std::size_t size = utf8_size(std::string_view(made).substr(index));
            if (size == 0) {
                note(at, "what !!binary stands for here is no text in UTF-8");
                return {};
            }
            index += size;
        }
        return made;
    }

    bool awaits_key() const { return !open_.empty() && open_.back().made.is_map() && !open_.back().key; }

    void refuse_as_key(const YAML::Mark& mark) const {
        if (awaits_key())
            fail(place(mark), "a key must be a string");
    }

    void take_key(const node& key) {
        if (!key.quoted && number_form_of(key.text) != number_form::none)
            note(key.at, fmt::format("a key must be a string; quote it: \"{}\"", key.text));
        collection& map = open_.back();
        map.key = key;
        if (!is_merge(key) && !map.seen.insert(key.text).second)
            note(key.at, "the key is there twice");
    }

    static bool is_merge(const node& key) { return key.text == "<<" && !key.quoted; }

    /// A value of which only the place and the tag are known.
    node begin(const YAML::Mark& mark, const std::string& tag) {
        node made;
        made.at = place(mark);
        count(1, open_.size(), made.at);
        if (tag == "!reset")
            made.tag = merge_tag::reset;
        else if (tag == "!override")
            made.tag = merge_tag::replace;
        else if (tag == "!" || tag == "tag:yaml.org,2002:str" || tag == "!!str" || tag == binary_tag)
            made.quoted = true;
        else if (!tag.empty() && tag != "?" && !tag.starts_with(core_tags))
            note(made.at, fmt::format("unknown tag {}; there are !reset and !override", tag));
        return made;
    }

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, node_kind kind) {
        refuse_as_key(mark);
        collection begun{.made = begin(mark, tag), .anchor = anchor};
        begun.made.kind = kind;
        open_.push_back(std::move(begun));
    }

    void close() {
        collection ended = std::move(open_.back());
        open_.pop_back();
        for (node& source : ended.merged)
            for (auto& [key, value] : source.entries)
                if (ended.seen.insert(key).second)
                    ended.made.entries.emplace_back(key, std::move(value));
        put(std::move(ended.made), ended.anchor);
    }

    void put(node value, YAML::anchor_t anchor) {
        if (anchor != 0) {
            charge(value, value.at);
            anchored_[anchor] = value;
        }
        if (open_.empty()) {
            documents_.push_back(std::move(value));
            return;
        }
        collection& into = open_.back();
        if (into.made.is_list()) {
            value.item = static_cast<int>(into.made.items.size());
            into.made.items.push_back(std::move(value));
        } else if (is_merge(*into.key)) {
            add_merges(std::move(value), into);
        } else {
            value.item = -1;
            value.key_at = into.key->at;
            if (value.at.line == 0 || value.is_null())
                value.at = value.key_at;
            into.made.entries.emplace_back(std::move(into.key->text), std::move(value));
        }
        into.key.reset();
    }

    void add_merges(node value, collection& into) const {
        if (value.is_map()) {
            into.merged.push_back(std::move(value));
            return;
        }
        if (!value.is_list())
            fail(value.at, "<< takes a mapping or a list of mappings");
        for (node& item : value.items) {
            if (!item.is_map())
                fail(item.at, "<< takes a mapping or a list of mappings");
            into.merged.push_back(std::move(item));
        }
    }

    /// Counts a value that is copied, as every alias and every anchor does.
    void charge(const node& copied, const position& at, std::size_t within = 0) {
        count(1, open_.size() + within, at);
        for (const node& item : copied.items)
            charge(item, at, within + 1);
        for (const auto& [key, value] : copied.entries)
            charge(value, at, within + 1);
    }

    void count(std::size_t more, std::size_t depth, const position& at) {
        nodes_ += more;
        if (nodes_ > limits_.nodes)
            fail(at, fmt::format("more than {} values once aliases are written out", limits_.nodes));
        if (depth > limits_.depth)
            fail(at, fmt::format("nested deeper than {} levels", limits_.depth));
    }

    std::string_view text_;
    std::shared_ptr<const std::string> file_;
    const yaml_limits& limits_;
    std::vector<node> documents_;
    int document_at_ = -1; // offset of the document that is being read
    std::vector<collection> open_;
    std::vector<diagnostic> wrong_;
    std::map<YAML::anchor_t, node> anchored_;
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
        const bool escape = text[at] == '\\' && quote == '"';
        const bool doubled = text.substr(at, 2) == "''" && quote == '\'';
        if (escape || doubled)
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
    int line = 1;
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '[' || c == '{')
            ++depth;
        else if ((c == ']' || c == '}') && depth > 0)
            --depth;
        else if (c == '\n') {
            ++line;
            begin = at + 1;
        }
        if (depth > most * 16)
            throw_load_error({.file = std::make_shared<const std::string>(file),
                                 .line = line,
                                 .column = static_cast<int>(at - begin) + 1},
                {},
                fmt::format(
                    "more than {} brackets are open; values may be nested {} levels deep", most * 16, most));
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
        tree_builder builder(text, file, limits);
        std::istringstream stream{std::string(text)};
        for (YAML::Parser parser(stream); parser.HandleNextDocument(builder);) {
        }
        if (const YAML::Mark& last = builder.last_quoted();
            !last.is_null() && !quote_is_closed(text, static_cast<std::size_t>(last.pos)))
            throw YAML::ParserException(last, "the quote is not closed");
        if (std::vector<diagnostic> wrong = builder.take_wrong(); !wrong.empty())
            throw load_error(std::move(wrong));
        return builder.take();
    } catch (const YAML::Exception& failure) {
        if (failure.mark.is_null())
            throw_load_error(whole, {}, "not YAML: " + failure.msg);
        const yaml_fault found = explain_yaml_fault(
            text, {.line = failure.mark.line, .column = failure.mark.column, .message = failure.msg});
        position at = whole;
        at.line = found.line + 1;
        at.column = found.column + 1;
        throw_load_error(at, {}, "not YAML: " + found.message);
    }
}

} // namespace compose
