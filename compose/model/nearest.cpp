#include "compose/model/nearest.hpp"

#include "compose/model/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace compose {

namespace {

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

/// Of which it is the last words.
std::string only_one_that_ends_with(std::string_view name, const std::vector<std::string_view>& known) {
    std::string found;
    for (const std::string_view candidate : known)
        if (candidate.size() > name.size() && candidate.ends_with(name) &&
            std::string_view("_-").find(candidate[candidate.size() - name.size() - 1]) !=
                std::string_view::npos) {
            if (!found.empty())
                return {};
            found = candidate;
        }
    return found;
}

} // namespace

std::string nearest(std::string_view name, const std::vector<std::string_view>& known) {
    std::string best;
    std::size_t fewest = std::max<std::size_t>(1, name.size() / 3) + 1;
    const std::string given = lower_case(name);
    for (const std::string_view candidate : known) {
        const std::size_t edits = edits_between(given, lower_case(candidate));
        if (edits < fewest && edits < std::max(name.size(), candidate.size())) { // something is the same
            fewest = edits;
            best = candidate;
        }
    }
    constexpr std::size_t least = 4; // letters that say something
    return best.empty() && name.size() >= least ? only_one_that_ends_with(name, known) : best;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string_view>& known) {
    const std::string near = nearest(name, known);
    return near.empty() ? std::string() : fmt::format(", did you mean \"{}\"?", near);
}

} // namespace compose
