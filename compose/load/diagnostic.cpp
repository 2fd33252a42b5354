#include "compose/load/diagnostic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

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
