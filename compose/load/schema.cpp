#include "compose/load/schema.hpp"

#include "compose/load/scalar.hpp"
#include "compose/model/nearest.hpp"
#include "compose/model/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <utility>

namespace compose {

namespace {

constexpr std::size_t most_expanded = 200'000;

std::string_view name_of(const node& value) noexcept {
    switch (value.kind) {
    case node_kind::null:
        return "nothing";
    case node_kind::list:
        return "a list";
    case node_kind::map:
        return "a mapping";
    case node_kind::scalar:
        break;
    }
    switch (kind_of(value)) {
    case scalar_kind::text:
        return "a string";
    case scalar_kind::boolean:
        return "true or false";
    case scalar_kind::integer:
    case scalar_kind::number:
        return "a number";
    }
    return "";
}

/// Digits that are no number of YAML are decimal: 080 is 80.
std::string without_zeros(const std::string& text) {
    if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos)
        return text;
    return text.substr(std::min(text.find_first_not_of('0'), text.size() - 1));
}

/// Go's numbers, which quoted ones are read as: 0x1F and 0b1 are none, as they are to YAML.
bool is_of_another_base(std::string_view text) {
    text.remove_prefix(text.starts_with('-') || text.starts_with('+') ? 1 : 0);
    return text.size() > 1 && text[0] == '0' && std::isalpha(static_cast<unsigned char>(text[1])) != 0 &&
           text[1] != 'e' && text[1] != 'E';
}

/// A number without a fraction is a whole one, however it is written: 80.0, 8e1.
std::string without_fraction(const std::string& text) {
    constexpr double most = 1LL << 53; // above it not every whole number is a double
    const double value = std::strtod(text.c_str(), nullptr);
    return value == std::floor(value) && std::abs(value) <= most
               ? std::to_string(static_cast<std::int64_t>(value))
               : text;
}

std::string_view wanted_name(form is) noexcept {
    switch (is) {
    case form::any:
        return "anything";
    case form::text:
        return "a string";
    case form::loose_text:
        return "a string or a number";
    case form::boolean:
        return "true or false";
    case form::integer:
        return "a whole number";
    case form::number:
        return "a number";
    case form::duration:
        return "a duration, like 10s or 1m30s";
    case form::bytes:
        return "a size, like 64m";
    case form::object:
    case form::map:
        return "a mapping";
    case form::list:
        return "a list";
    }
    return "";
}

std::string_view wanted_name(const schema& to) noexcept {
    if (to.is == form::loose_text && to.no_numbers)
        return "true, false or a string";
    if (to.is == form::loose_text && to.no_fractions)
        return "a string or a whole number";
    return wanted_name(to.is);
}

class conformer {
  public:
    conformer(std::vector<diagnostic>& wrong, std::vector<std::string>& warnings, bool variables_stay)
        : wrong_(wrong), warnings_(warnings), variables_stay_(variables_stay) {}

    void run(node& value, const schema& to, const std::string& path) {
        if (value.tag == merge_tag::reset)
            return; // whatever stands there, it takes away
        std::erase_if(value.items, [](const node& item) { return item.tag == merge_tag::reset; });
        const bool scalar = to.is != form::any && to.is != form::object && to.is != form::map &&
                            to.is != form::list && !to.settled;
        if (!variables_stay_ || (!scalar && !to.as_written))
            return write(value, to, path);
        node checked = value;
        write(checked, to, path);
        settle_scalars(value);
        if (value.is_list())
            keep_unique(value, to);
    }

  private:
    void write(node& value, const schema& to, const std::string& path) {
        // A variable is a text, which no list and no mapping comes of but by a short form.
        const bool whole = to.is == form::object || to.is == form::map || to.is == form::list;
        if (stays(value) && !whole) {
            value.quoted = true;
            return;
        }
        if (whole && to.is != form::list && to.remarks != nullptr && !variables_stay_)
            for (std::string& remark : to.remarks(value))
                warn(value.at, path, std::move(remark));
        if (to.write_out != nullptr && !guarded(value, path, [&] { to.write_out(value); }))
            return;
        if (value.is_null())
            return;
        if (value.is_scalar() && to.or_scalar != nullptr)
            return run(value, *to.or_scalar, path);
        switch (to.is) {
        case form::any:
            settle_scalars(value);
            return;
        case form::object:
            object(value, to, path);
            return;
        case form::map:
            map(value, to, path);
            return;
        case form::list:
            list(value, to, path);
            return;
        default:
            scalar(value, to, path);
            return;
        }
    }

    bool stays(const node& value) const {
        return variables_stay_ && value.is_scalar() && value.text.find('$') != std::string::npos;
    }

    void fail(const position& at, const std::string& path, std::string message) {
        wrong_.push_back({.at = at, .path = path, .message = std::move(message)});
    }

    void wrong_type(const node& value, const schema& to, const std::string& path) {
        const bool number_for_text = to.is == form::text && value.is_scalar();
        const bool alone = to.is == form::list && to.write_out != nullptr; // one that is no list is taken too
        fail(value.at, path,
            fmt::format("must be {}, not {}{}", alone ? "a string or a list" : wanted_name(to),
                name_of(value), number_for_text ? fmt::format("; quote it: \"{}\"", value.text) : ""));
    }

    template <typename Act>
    bool guarded(const node& value, const std::string& path, Act act) {
        try {
            act();
            return true;
        } catch (const load_error& failure) { // of something in it
            for (const diagnostic& each : failure.diagnostics())
                fail(each.at, path + each.path, each.message);
        } catch (const error& failure) {
            fail(value.at, path, failure.what());
        }
        hollow_.insert(path);
        return false;
    }

    void object(node& value, const schema& to, const std::string& path) {
        if (!value.is_map())
            return wrong_type(value, to, path);
        std::set<std::string> unusable;
        for (auto& [key, inner] : value.entries) {
            const member* known = find_member(to, key);
            const std::size_t before = wrong_.size();
            if (known != nullptr) {
                run(inner, *known->of, child_path(path, key));
                if (is_itself_wrong(before, child_path(path, key))) {
                    unusable.insert(key);
                    if (known->required)
                        hollow_.insert(path);
                }
            } else if (key.starts_with("x-")) {
                settle_scalars(inner);
            } else {
                std::vector<std::string_view> names;
                for (const member& each : to.members)
                    names.push_back(each.name);
                const std::string near = nearest(key, names);
                const bool service = path.empty() && inner.is_map() &&
                                     (inner.find("image") != nullptr || inner.find("build") != nullptr);
                const std::string hint = service        ? "; services stand below \"services:\""
                                         : near.empty() ? ""
                                                        : fmt::format(", did you mean \"{}\"?", near);
                fail(inner.key_at, child_path(path, key), "unknown key" + hint);
                if (path.empty())
                    wrong_.back().section = service ? "services" : near;
                unusable.insert(key);
            }
        }
        drop(value, unusable);
    }

    void map(node& value, const schema& to, const std::string& path) {
        if (!value.is_map())
            return wrong_type(value, to, path);
        std::set<std::string> unusable;
        for (auto& [key, inner] : value.entries) {
            const std::size_t before = wrong_.size();
            run(inner, *to.element, child_path(path, key));
            if (!is_itself_wrong(before, child_path(path, key)))
                continue;
            if (to.element->is == form::object &&
                std::none_of(to.element->members.begin(), to.element->members.end(),
                    [](const member& each) { return each.required; }))
                inner = map_node(inner); // others may refer to it
            else
                unusable.insert(key);
        }
        drop(value, unusable);
    }

    /// Whether what was found wrong since then is a value as such, and not something in it.
    bool is_itself_wrong(std::size_t since, const std::string& path) const {
        return hollow_.contains(path) ||
               std::any_of(wrong_.begin() + static_cast<std::ptrdiff_t>(since), wrong_.end(),
                   [&](const diagnostic& each) { return each.path == path; });
    }

    /// What is told already does not stand in the way of what comes after.
    static void drop(node& value, const std::set<std::string>& keys) {
        if (!keys.empty())
            std::erase_if(value.entries, [&](const auto& entry) { return keys.contains(entry.first); });
    }

    void list(node& value, const schema& to, const std::string& path) {
        if (!value.is_list())
            return wrong_type(value, to, path);
        // One that is not known yet may be several.
        if (to.expand != nullptr && !to.each_alone &&
            std::any_of(
                value.items.begin(), value.items.end(), [&](const node& item) { return stays(item); })) {
            for (node& item : value.items)
                if (item.is_scalar())
                    item.quoted = true;
                else
                    item = to.expand(item).front(); // which is one, with what it leaves out
            return;
        }
        std::vector<node> items;
        for (std::size_t index = 0; index < value.items.size(); ++index) {
            const node& item = value.items[index];
            const std::string here = path_of(value, index, path);
            std::vector<node> expanded;
            if (to.expand == nullptr)
                expanded.push_back(item);
            else if (!guarded(item, here, [&] { expanded = expand(item, to); }))
                continue;
            if (to.remarks != nullptr && !variables_stay_)
                for (std::string& remark : to.remarks(item))
                    warn(item.at, here, std::move(remark));
            for (node& each : expanded) {
                each.item = item.item;
                const std::size_t before = wrong_.size();
                if (each.is_null() && !to.element->null_is_value)
                    fail(each.at, here, fmt::format("must be {}, not nothing", wanted_name(to.element->is)));
                run(each, *to.element, here);
                if (!is_itself_wrong(before, here))
                    items.push_back(std::move(each));
            }
        }
        value.items = std::move(items);
        if (to.tells_twins && !variables_stay_)
            tell_twins(value, to, path);
        keep_unique(value, to);
    }

    /// As the file has it: there are others in the tree where some are left out or are several.
    static std::string path_of(const node& list, std::size_t index, const std::string& path) {
        const int item = list.items[index].item;
        return item < 0 && list.lone
                   ? path
                   : fmt::format("{}[{}]", path, item < 0 ? index : static_cast<std::size_t>(item));
    }

    void tell_twins(const node& list, const schema& of, const std::string& path) {
        std::map<std::string, std::string> places;
        for (std::size_t index = 0; index < list.items.size(); ++index) {
            const std::string here = path_of(list, index, path);
            const auto [twin, fresh] = places.emplace(of.identity(list.items[index]), here);
            if (!fresh)
                warn(list.items[index].at, here,
                    fmt::format("takes the place of {}, for both have the target {}",
                        std::exchange(twin->second, here), twin->first));
        }
    }

    void warn(const position& at, const std::string& path, std::string message) {
        warnings_.push_back(to_string({.at = at, .path = path, .message = std::move(message)}));
    }

    /// Ranges of ports may be many ports each.
    std::vector<node> expand(const node& item, const schema& to) {
        if (expanded_ > most_expanded)
            return {}; // told
        std::vector<node> all = to.expand(item);
        expanded_ += all.size();
        if (expanded_ > most_expanded)
            throw error(error_kind::invalid,
                fmt::format("more than {} entries once all ranges are written out", most_expanded));
        return all;
    }

    void scalar(node& value, const schema& to, const std::string& path) {
        if (!value.is_scalar())
            return wrong_type(value, to, path);
        const scalar_kind kind = kind_of(value);
        switch (to.is) {
        case form::text:
            if (kind != scalar_kind::text)
                return wrong_type(value, to, path);
            break;
        case form::loose_text:
            if ((kind == scalar_kind::boolean && to.no_booleans) ||
                (kind == scalar_kind::number && to.no_fractions) ||
                (to.no_numbers && (kind == scalar_kind::integer || kind == scalar_kind::number)))
                return wrong_type(value, to, path);
            if (kind != scalar_kind::text)
                value.text = plain_scalar_text(value.text);
            break;
        case form::boolean:
            return boolean(value, kind, path);
        case form::integer:
        case form::number:
            return number(value, to, kind, path);
        case form::duration:
            return duration(value, to, kind, path);
        case form::bytes:
            return bytes(value, to, kind, path);
        default:
            break;
        }
        value.quoted = true;
        checked(value, to, path);
    }

    void checked(const node& value, const schema& to, const std::string& path) {
        if (to.check == nullptr)
            return;
        if (std::string why = to.check(value.text); !why.empty())
            fail(value.at, path, std::move(why));
    }

    // Interpolation makes strings of everything, so words and digits are taken where they say what is asked.
    void boolean(node& value, scalar_kind kind, const std::string& path) {
        const bool digit = value.text == "0" || value.text == "1";
        const auto meant = digit || kind == scalar_kind::integer || kind == scalar_kind::number
                               ? std::nullopt
                               : parse_bool(value.text);
        if (!meant)
            return fail(value.at, path,
                fmt::format("\"{}\" is not true or false{}", value.text,
                    did_you_mean(value.text, {"true", "false"})));
        std::string text = *meant ? "true" : "false";
        std::string given = value.text;
        std::transform(given.begin(), given.end(), given.begin(),
            [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        if (given != text)
            warnings_.push_back(
                fmt::format("{}: \"{}\" for a boolean is not supported by YAML 1.2, please use `{}`", path,
                    value.text, text));
        value.text = std::move(text);
        value.quoted = false;
    }

    void number(node& value, const schema& to, scalar_kind kind, const std::string& path) {
        const bool odd = kind == scalar_kind::text &&
                         (is_of_another_base(value.text) ||
                             (to.is == form::integer && value.text.find('_') != std::string::npos));
        if (kind == scalar_kind::text)
            value.text = without_zeros(value.text);
        value.quoted = false; // "80" is 80 here
        if (to.is == form::integer && kind == scalar_kind::number)
            value.text = without_fraction(value.text);
        const scalar_kind meant = kind_of(value);
        const bool whole = meant == scalar_kind::integer;
        if (kind == scalar_kind::boolean || odd ||
            (!whole && (to.is == form::integer || meant != scalar_kind::number)))
            return fail(value.at, path,
                fmt::format(
                    "\"{}\" is no {}", value.text, to.is == form::integer ? "whole number" : "number"));
        value.text = json_literal(value);
        if (to.is == form::integer && !parse_integer(value.text))
            return fail(value.at, path, fmt::format("{} is not between -2^63 and 2^63 - 1", value.text));
        checked(value, to, path);
    }

    void duration(node& value, const schema& to, scalar_kind kind, const std::string& path) {
        const auto meant = kind == scalar_kind::text ? parse_duration(value.text) : std::nullopt;
        if (!meant)
            return fail(value.at, path,
                fmt::format(
                    "\"{}\" is no duration; write a number with a unit, like 10s or 1m30s", value.text));
        value.text = format_duration(*meant);
        value.quoted = true;
        checked(value, to, path);
    }

    void bytes(node& value, const schema& to, scalar_kind kind, const std::string& path) {
        const std::string text = kind == scalar_kind::integer ? json_literal(value) : value.text;
        const bool counted = kind == scalar_kind::integer || kind == scalar_kind::text;
        const auto meant = counted ? parse_bytes(text) : std::nullopt;
        if (!meant)
            return fail(value.at, path,
                fmt::format("\"{}\" is no size; write a number with b, k, m or g, like 64m", value.text));
        value.text = std::to_string(*meant);
        value.quoted = true;
        checked(value, to, path);
    }

    std::vector<diagnostic>& wrong_;
    std::vector<std::string>& warnings_;
    bool variables_stay_;
    std::set<std::string> hollow_; // paths of what has lost what it cannot be without
    std::size_t expanded_ = 0;     // items that short forms of lists have become
};

} // namespace

const member* find_member(const schema& of, std::string_view name) noexcept {
    for (const member& each : of.members)
        if (each.name == name)
            return &each;
    return nullptr;
}

void conform(node& value, const schema& to, const std::string& path, std::vector<diagnostic>& wrong,
    std::vector<std::string>& warnings, bool variables_stay) {
    conformer(wrong, warnings, variables_stay).run(value, to, path);
}

void keep_unique(node& list, const schema& of) {
    if (of.identity == nullptr)
        return;
    std::map<std::string, std::size_t> places;
    std::vector<node> kept;
    for (node& item : list.items) {
        const auto [place, fresh] = places.emplace(
            item.is_scalar() && of.expand != nullptr ? item.text : of.identity(item), kept.size());
        if (fresh)
            kept.push_back(std::move(item));
        else
            kept[place->second] = std::move(item);
    }
    list.items = std::move(kept);
}

namespace {

void require_value(
    const node& value, const schema& of, const std::string& path, std::vector<diagnostic>& wrong) {
    if (value.is_null() && !of.null_is_value)
        wrong.push_back({.at = value.at,
            .path = path,
            .message = fmt::format("must be {}, not nothing{}", wanted_name(of.is),
                value.tag == merge_tag::replace ? "; !reset takes away what is there" : "")});
    require_members(value, of, path, wrong);
}

} // namespace

void require_members(
    const node& value, const schema& of, const std::string& path, std::vector<diagnostic>& wrong) {
    if (of.is == form::object && value.is_map()) {
        for (const member& each : of.members) {
            const node* there = value.find(each.name);
            if (there != nullptr)
                require_value(*there, *each.of, child_path(path, each.name), wrong);
            else if (each.required)
                wrong.push_back({.at = value.at,
                    .path = path,
                    .message = fmt::format("\"{}\" is missing; it must be there", each.name)});
        }
    } else if (of.is == form::map && value.is_map()) {
        for (const auto& [key, inner] : value.entries)
            require_value(inner, *of.element, child_path(path, key), wrong);
    } else if (of.is == form::list && value.is_list()) {
        for (std::size_t index = 0; index < value.items.size(); ++index)
            require_members(value.items[index], *of.element, fmt::format("{}[{}]", path, index), wrong);
    }
}

} // namespace compose
