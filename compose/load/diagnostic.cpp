#include "compose/load/diagnostic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

namespace compose {

std::string to_string(const diagnostic& wrong) {
    std::string text;
    if (wrong.at.file)
        text += wrong.at.line > 0 ? fmt::format("{}:{}:{}: ", *wrong.at.file, wrong.at.line, wrong.at.column)
                                  : fmt::format("{}: ", *wrong.at.file);
    if (!wrong.path.empty())
        text += wrong.path + ": ";
    return text + wrong.message;
}

namespace {

std::string join(const std::vector<diagnostic>& found) {
    std::string text;
    for (const diagnostic& each : found)
        text += (text.empty() ? "" : "\n") + to_string(each);
    return text;
}

// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment): "prots" is one from
// "ports".
std::size_t edits_between(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> above(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(above.begin(), above.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before.swap(above);
        above.swap(row);
    }
    return above[b.size()];
}

} // namespace

namespace {

/// Whether a path leads to what `whole` does, or into it.
bool is_within(std::string_view path, std::string_view whole) {
    return path.starts_with(whole) &&
           (path.size() == whole.size() || path[whole.size()] == '.' || path[whole.size()] == '[');
}

/// Whether a path leads to an item of a list that stands at another place since one before it is left out.
bool is_moved(std::string_view path, std::string_view left_out) {
    const std::size_t bracket = left_out.rfind('[');
    if (!left_out.ends_with(']') || !path.starts_with(left_out.substr(0, bracket + 1)))
        return false;
    const auto index = [&](std::string_view of) {
        return std::strtoul(std::string(of.substr(bracket + 1)).c_str(), nullptr, 10);
    };
    return index(path) >= index(left_out);
}

/// Whether it only tells of what is missing by `cause`.
bool follows_from(const diagnostic& each, const diagnostic& cause) {
    const bool unknown =
        !each.section.empty() &&
        (cause.section == each.section || cause.section == in_any_section || cause.path == each.section);
    return unknown || (!each.path.empty() && is_within(cause.path, each.path)) ||
           is_moved(each.path, cause.path);
}

std::string file_of(const diagnostic& each) {
    return each.at.file ? *each.at.file : std::string();
}

/// Whether it is the first to say this of a place, as many services may have it from, and of a path.
bool is_new(const diagnostic& each, std::set<std::string>& told) {
    const bool placed = each.at.line > 0;
    const bool fresh_place =
        !placed || told.insert(to_string({.at = each.at, .path = {}, .message = each.message})).second;
    const bool fresh_path = each.path.empty() || told.insert(each.path + ": " + each.message).second;
    return fresh_place && fresh_path;
}

} // namespace

std::vector<diagnostic> without_consequences(std::vector<diagnostic> first, std::vector<diagnostic> rest) {
    const auto causes_end = static_cast<std::ptrdiff_t>(first.size());
    std::set<std::string> told;
    for (diagnostic& each : rest)
        if (std::none_of(first.begin(), first.begin() + causes_end,
                [&](const diagnostic& cause) { return follows_from(each, cause); }) &&
            is_new(each, told))
            first.push_back(std::move(each));
    std::map<std::string, std::size_t> files; // in the order in which they are read
    for (const diagnostic& each : first)
        files.try_emplace(file_of(each), files.size());
    std::stable_sort(first.begin(), first.end(), [&](const diagnostic& one, const diagnostic& other) {
        return std::tuple(files.at(file_of(one)), one.at.line, one.at.column) <
               std::tuple(files.at(file_of(other)), other.at.line, other.at.column);
    });
    return first;
}

load_error::load_error(std::vector<diagnostic> found)
    : error(error_kind::invalid, join(found)), diagnostics_(std::move(found)) {}

void throw_load_error(position at, std::string path, std::string message) {
    std::vector<diagnostic> one;
    one.push_back({.at = std::move(at), .path = std::move(path), .message = std::move(message)});
    throw load_error(std::move(one));
}

std::string nearest(std::string_view name, const std::vector<std::string_view>& known) {
    std::string best;
    std::size_t fewest = std::max<std::size_t>(1, name.size() / 3) + 1;
    for (const std::string_view candidate : known) {
        const std::size_t edits = edits_between(name, candidate);
        if (edits < fewest) {
            fewest = edits;
            best = candidate;
        }
    }
    return best;
}

} // namespace compose
