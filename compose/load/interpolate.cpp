#include "compose/load/interpolate.hpp"

#include "compose/model/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <utility>

namespace compose {

namespace {

constexpr int most_nested = 32;
// A variable that has itself twice doubles with each line; no program takes more than 128 KiB of one.
constexpr std::size_t most_put_in = 1U << 20U; // into one text
constexpr std::size_t most_put_into_tree = 64U << 20U;

bool starts_name(char c) noexcept {
    return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool in_name(char c) noexcept {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

class interpolator {
  public:
    interpolator(const variable_lookup& lookup, std::vector<std::string>& unset)
        : lookup_(lookup), unset_(unset) {}

    std::string run(std::string_view text, int depth) {
        if (depth > most_nested)
            throw error(error_kind::invalid, "variables nested too deep");
        std::string result;
        std::size_t at = 0;
        while (at < text.size()) {
            if (text[at] != '$' || at + 1 == text.size()) {
                result += text[at++];
                continue;
            }
            const char next = text[at + 1];
            if (next == '$') {
                result += '$';
                at += 2;
            } else if (next == '{') {
                const std::size_t end = closing_brace(text, at + 2);
                result += braced(text.substr(at + 2, end - at - 2), depth);
                at = end + 1;
            } else if (starts_name(next)) {
                std::size_t end = at + 1;
                while (end < text.size() && in_name(text[end]))
                    ++end;
                result += value_or_blank(std::string(text.substr(at + 1, end - at - 1)));
                at = end;
            } else {
                result += text[at++];
            }
        }
        return result;
    }

  private:
    [[noreturn]] static void fail(std::string_view text) {
        constexpr std::size_t most = 80; // bytes that show what is meant
        std::size_t shown = 0;
        while (shown < text.size() && shown < most)
            shown += std::max<std::size_t>(utf8_size(text.substr(shown)), 1);
        throw error(error_kind::invalid,
            fmt::format("invalid interpolation format \"{}{}\"; you may need to escape any $ with another $",
                text.substr(0, shown), shown < text.size() ? "…" : ""));
    }

    // Braces in a default are balanced: ${A:-{"b":{}}} has the default {"b":{}}. One that is never closed is
    // a character like others: ${A:-{b} has the default {b.
    static std::size_t closing_brace(std::string_view text, std::size_t from) {
        int open = 1;
        for (std::size_t at = from; at < text.size(); ++at) {
            if (text[at] == '{')
                ++open;
            else if (text[at] == '}' && --open == 0)
                return at;
        }
        const std::size_t last = text.rfind('}');
        if (last == std::string_view::npos || last < from || has_expression(text.substr(from)))
            fail(text.substr(from - 2));
        return last;
    }

    /// "$${" is none.
    static bool has_expression(std::string_view text) {
        for (std::size_t at = 0; at + 1 < text.size(); ++at)
            if (text[at] == '$' && text[++at] == '{')
                return true;
        return false;
    }

    std::string value_or_blank(const std::string& name) {
        const auto value = look_up(name);
        if (!value)
            unset_.push_back(name);
        return value.value_or("");
    }

    std::optional<std::string> look_up(const std::string& name) {
        auto value = lookup_(name);
        put_in_ += value ? value->size() : 0;
        if (put_in_ > most_put_in)
            throw error(error_kind::invalid,
                fmt::format("with its variables it is longer than {} bytes", most_put_in));
        return value;
    }

    std::string braced(std::string_view expression, int depth) {
        std::size_t end = 0;
        while (
            end < expression.size() && (end == 0 ? starts_name(expression[end]) : in_name(expression[end])))
            ++end;
        const std::string name(expression.substr(0, end));
        std::string_view rest = expression.substr(end);
        if (name.empty())
            fail(fmt::format("${{{}}}", expression));
        if (rest.empty())
            return value_or_blank(name);
        const bool empty_counts = rest.starts_with(':');
        if (empty_counts)
            rest.remove_prefix(1);
        if (rest.empty())
            fail(fmt::format("${{{}}}", expression));
        const char how = rest[0];
        rest.remove_prefix(1);
        const auto value = look_up(name);
        const bool there = value && !(empty_counts && value->empty());
        switch (how) {
        case '-':
            return there ? *value : run(rest, depth + 1);
        case '+':
            return there ? run(rest, depth + 1) : std::string();
        case '?':
            if (there)
                return *value;
            throw error(error_kind::invalid,
                fmt::format("required variable {} is missing a value: {}", name, run(rest, depth + 1)));
        default:
            fail(fmt::format("${{{}}}", expression));
        }
    }

    const variable_lookup& lookup_;
    std::vector<std::string>& unset_;
    std::size_t put_in_ = 0; // bytes of values
};

} // namespace

variable_lookup lookup_in(const std::map<std::string, std::string>& variables) {
    return [&variables](const std::string& name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
}

std::string interpolate(
    std::string_view text, const variable_lookup& lookup, std::vector<std::string>& unset) {
    if (text.find('$') == std::string_view::npos)
        return std::string(text);
    return interpolator(lookup, unset).run(text, 0);
}

void warn_of_unset(const std::vector<std::string>& names, std::vector<std::string>& warnings) {
    std::set<std::string> told(warnings.begin(), warnings.end());
    for (const std::string& name : names) {
        std::string warning =
            fmt::format("The \"{}\" variable is not set. Defaulting to a blank string.", name);
        if (told.insert(warning).second)
            warnings.push_back(std::move(warning));
    }
}

namespace {

class tree_interpolator {
  public:
    tree_interpolator(
        const variable_lookup& lookup, std::vector<std::string>& unset, std::vector<diagnostic>& wrong)
        : lookup_(lookup), unset_(unset), wrong_(wrong) {}

    void run(node& tree, const std::string& path) {
        if (tree.is_scalar() && tree.text.find('$') != std::string::npos)
            scalar(tree, path);
        for (std::size_t index = 0; index < tree.items.size(); ++index)
            run(tree.items[index], fmt::format("{}[{}]", path, index));
        for (auto& [key, value] : tree.entries)
            run(value, child_path(path, key));
    }

  private:
    void scalar(node& tree, const std::string& path) {
        if (size_ > most_put_into_tree)
            return; // told
        try {
            tree.quoted = true; // what is put in is text
            tree.text = interpolate(tree.text, lookup_, unset_);
            size_ += tree.text.size();
            if (size_ > most_put_into_tree)
                throw error(error_kind::invalid,
                    fmt::format("with its variables the file is longer than {} bytes", most_put_into_tree));
        } catch (const error& failure) {
            wrong_.push_back({.at = tree.at, .path = path, .message = failure.what()});
            tree.tag = merge_tag::reset; // nobody looks at it any more: it is told once
        }
    }

    const variable_lookup& lookup_;
    std::vector<std::string>& unset_;
    std::vector<diagnostic>& wrong_;
    std::size_t size_ = 0; // of the texts with variables
};

} // namespace

void interpolate_tree(node& tree, const std::string& path, const variable_lookup& lookup,
    std::vector<std::string>& unset, std::vector<diagnostic>& wrong) {
    tree_interpolator(lookup, unset, wrong).run(tree, path);
}

namespace {

/// What stands in the text is looked at, and nothing evaluated.
void collect(std::string_view text, std::map<std::string, used_variable>& into) {
    for (std::size_t at = text.find('$'); at != std::string_view::npos && at + 1 < text.size();
         at = text.find('$', at)) {
        std::string_view rest = text.substr(at + 1);
        if (rest[0] == '$') {
            at += 2;
            continue;
        }
        const bool braced = rest[0] == '{';
        rest.remove_prefix(braced ? 1 : 0);
        std::size_t end = 0;
        while (end < rest.size() && (end == 0 ? starts_name(rest[end]) : in_name(rest[end])))
            ++end;
        at += 1 + (braced ? 1 : 0) + end;
        if (end == 0)
            continue;
        used_variable& found = into[std::string(rest.substr(0, end))];
        found.name = rest.substr(0, end);
        rest.remove_prefix(end);
        if (!braced || rest.empty() || rest[0] == '}')
            continue;
        rest.remove_prefix(rest[0] == ':' && rest.size() > 1 ? 1 : 0);
        std::size_t close = 1;
        for (int open = 1; close < rest.size(); ++close) {
            open += rest[close] == '{' ? 1 : rest[close] == '}' ? -1 : 0;
            if (open == 0)
                break;
        }
        const std::string value(rest.substr(1, close - 1));
        found.required = found.required || rest[0] == '?';
        if (rest[0] == '-')
            found.default_value = value;
        else if (rest[0] == '+')
            found.alternative = value;
    }
}

void collect_tree(const node& tree, std::map<std::string, used_variable>& into) {
    collect(tree.text, into);
    for (const node& item : tree.items)
        collect_tree(item, into);
    for (const auto& [key, value] : tree.entries)
        collect_tree(value, into);
}

} // namespace

std::vector<used_variable> variables_in(const node& tree) {
    std::map<std::string, used_variable> found;
    collect_tree(tree, found);
    std::vector<used_variable> all;
    all.reserve(found.size());
    for (auto& [name, variable] : found)
        all.push_back(std::move(variable));
    return all;
}

} // namespace compose
