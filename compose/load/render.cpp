#include "compose/load/render.hpp"

#include "compose/load/scalar.hpp"
#include "compose/load/schema_basics.hpp"
#include "compose/model/units.hpp"

#include <boost/json.hpp>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>

namespace compose {

namespace json = boost::json;

namespace {

// What is printed is read again by other programs, which would interpolate values; keys they leave alone.
std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text)
        result.append(c == '$' ? 2 : 1, c);
    return result;
}

enum class output { json, yaml };

bool says_nothing(const node& value, const schema& of) {
    if (of.unprinted)
        return true;
    if (value.is_null())
        return !of.null_is_value;
    if (of.keeps_zero || of.is == form::any || of.is == form::object)
        return false;
    if (value.is_scalar())
        return value.quoted ? value.text.empty() || (of.is == form::bytes && value.text == "0") ||
                                  (of.is == form::duration && value.text == "0s")
                            : value.text == "false" || value.text == "0";
    return value.items.empty() && value.entries.empty();
}

/// The tree as it is printed: members in the order of their tables, keys of the user's sorted, what says
/// nothing left out.
class arranger {
  public:
    explicit arranger(output as) : as_(as) {}

    node run(const node& value, const schema& of) {
        if (value.is_map() && of.is == form::object)
            return object(value, of);
        node made = value;
        made.items.clear();
        made.entries.clear();
        if (of.is == form::any) {
            made = value;
            sort(made);
            return made;
        }
        for (const node& item : value.items) // of a map: extra_hosts, which is a list by now
            made.items.push_back(of.is == form::list ? run(item, *of.element) : item);
        for (const auto& [key, inner] : value.entries)
            if (!says_nothing(inner, *of.element))
                made.entries.emplace_back(key, run(inner, *of.element));
        sort_keys(made);
        return made;
    }

  private:
    node object(const node& value, const schema& of) {
        node made = map_node(value);
        for (const member& each : of.members) {
            const node* there = value.find(each.name);
            const bool bare = there != nullptr && there->is_null() && each.of->is == form::object; // deploy:
            if (there != nullptr && !bare && !says_nothing(*there, *each.of))
                made.entries.emplace_back(each.name, run(*there, *each.of));
            else if (as_ == output::json && each.of == &schemas::words && &of == &schemas::service)
                made.entries.emplace_back(
                    each.name, node{}); // as Go's encoder has it, which knows no omission there
        }
        if (as_ == output::yaml)
            drop_bare(made, of);
        if (as_ == output::yaml || &of == &project_schema) {
            node extensions = map_node(value);
            for (const auto& [key, inner] : value.entries)
                if (key.starts_with("x-"))
                    extensions.entries.emplace_back(key, run(inner, schemas::any));
            sort_keys(extensions);
            for (auto& entry : extensions.entries)
                made.entries.push_back(std::move(entry));
        }
        complete(made, of);
        return made;
    }

    /// What only JSON has although it says nothing.
    static void drop_bare(node& made, const schema& of) {
        std::erase_if(made.entries, [&](const auto& entry) {
            const member* known = find_member(of, entry.first);
            return (known->of == &schemas::words && entry.second.is_null()) ||
                   (known->always && &of != &project_schema && entry.second.entries.empty());
        });
    }

    /// Structures without a pointer in Docker Compose's model: its JSON always has them.
    void complete(node& made, const schema& of) const {
        for (const member& each : of.members)
            if ((as_ == output::json || &of == &project_schema) && each.always &&
                made.find(each.name) == nullptr)
                made.entries.emplace_back(each.name, map_node(made));
    }

    static void sort_keys(node& map) {
        std::sort(map.entries.begin(), map.entries.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
    }

    static void sort(node& tree) {
        sort_keys(tree);
        for (node& item : tree.items)
            sort(item);
        for (auto& [key, value] : tree.entries)
            sort(value);
    }

    output as_;
};

std::string quoted(const std::string& text) {
    return json::serialize(json::string(text));
}

using text_form = std::string (*)(const std::string&);

std::string as_it_is(const std::string& text) {
    return text;
}

void write_json(std::string& into, const node& value, std::size_t depth, text_form form) {
    const std::string margin(depth * 2, ' ');
    if (value.is_null()) {
        into += "null";
    } else if (value.is_scalar()) {
        into += value.quoted ? quoted(form(value.text)) : value.text;
    } else if (value.is_map() ? value.entries.empty() : value.items.empty()) {
        into += value.is_map() ? "{}" : "[]";
    } else if (value.is_map()) {
        into += "{\n";
        for (std::size_t index = 0; index < value.entries.size(); ++index) {
            into += (index == 0 ? "" : ",\n") + margin + "  " + quoted(value.entries[index].first) + ": ";
            write_json(into, value.entries[index].second, depth + 1, form);
        }
        into += "\n" + margin + "}";
    } else {
        into += "[\n";
        for (std::size_t index = 0; index < value.items.size(); ++index) {
            into += (index == 0 ? "" : ",\n") + margin + "  ";
            write_json(into, value.items[index], depth + 1, form);
        }
        into += "\n" + margin + "]";
    }
}

/// A plain scalar that a reader, of YAML 1.1 or 1.2, would take for something else than text is quoted.
bool needs_quotes(const std::string& text) {
    static constexpr std::string_view words[] = {
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "~", "<<", "="};
    std::string low(text);
    std::transform(low.begin(), low.end(), low.begin(),
        [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const bool odd = std::any_of(
        text.begin(), text.end(), [](unsigned char c) { return (c < 0x20 && c != '\n') || c >= 0x7f; });
    return text.empty() || odd || std::find(std::begin(words), std::end(words), low) != std::end(words) ||
           number_form_of(text) != number_form::none || low.ends_with(".inf") || low == ".nan" ||
           text.find_first_not_of("0123456789:.-+_") ==
               std::string::npos; // 22:22 and dates, to a reader of YAML 1.1
}

void write_text(YAML::Emitter& out, const std::string& text) {
    if (needs_quotes(text))
        out << YAML::DoubleQuoted;
    out << text;
}

void write_yaml(YAML::Emitter& out, const node& value, text_form form) {
    if (value.is_null()) {
        out << YAML::Null;
    } else if (value.is_scalar()) {
        if (value.quoted)
            write_text(out, form(value.text));
        else
            out << value.text;
    } else if (value.is_map()) {
        if (value.entries.empty())
            out << YAML::Flow;
        out << YAML::BeginMap;
        for (const auto& [key, inner] : value.entries) {
            out << YAML::Key;
            write_text(out, key);
            out << YAML::Value;
            write_yaml(out, inner, form);
        }
        out << YAML::EndMap;
    } else {
        if (value.items.empty())
            out << YAML::Flow;
        out << YAML::BeginSeq;
        for (const node& item : value.items)
            write_yaml(out, item, form);
        out << YAML::EndSeq;
    }
}

/// Everything there is, keys sorted.
node sorted(const node& tree) {
    node made = tree;
    std::erase_if(made.entries, [](const auto& entry) { return entry.first == "version"; });
    for (node& item : made.items)
        item = sorted(item);
    for (auto& [key, value] : made.entries)
        value = sorted(value);
    std::sort(made.entries.begin(), made.entries.end(),
        [](const auto& a, const auto& b) { return a.first < b.first; });
    return made;
}

/// DEL stands in quotes alone, where JSON and both libraries leave it as it is and YAML 1.2 (5.1) takes it by
/// its number only.
std::string readable(std::string text) {
    for (std::size_t at = text.find('\x7f'); at != std::string::npos; at = text.find('\x7f', at))
        text.replace(at, 1, "\\u007f");
    return text;
}

std::string json_text(const node& tree, text_form form) {
    std::string text;
    write_json(text, tree, 0, form);
    return readable(text + "\n");
}

std::string yaml_text(const node& tree, text_form form) {
    YAML::Emitter out;
    out.SetNullFormat(YAML::LowerNull);
    write_yaml(out, tree, form);
    return readable(std::string(out.c_str()) + "\n");
}

} // namespace

std::string to_json(const node& tree) {
    return json_text(arranger(output::json).run(tree, project_schema), escaped);
}

std::string to_yaml(const node& tree) {
    return yaml_text(arranger(output::yaml).run(tree, project_schema), escaped);
}

std::string to_raw_json(const node& tree) {
    return json_text(sorted(tree), as_it_is);
}

std::string to_raw_yaml(const node& tree) {
    return yaml_text(sorted(tree), as_it_is);
}

} // namespace compose
