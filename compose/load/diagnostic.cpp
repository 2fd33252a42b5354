#include "compose/load/diagnostic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
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

std::string file_of(const diagnostic& each) {
    return each.at.file ? *each.at.file : std::string();
}

/// What is told, to be asked whether something else merely follows from it.
class causes {
  public:
    explicit causes(const std::vector<diagnostic>& told) {
        for (const diagnostic& each : told) {
            const std::string& path = each.path;
            paths_.insert(in_file(path, each));
            for (std::size_t end = next_step(path, 0); end != std::string::npos;
                 end = next_step(path, end + 1))
                above_.insert(in_file(path.substr(0, end), each));
            if (!each.section.empty())
                sections_.insert(each.section);
        }
    }

    /// Whether it only tells of what is missing by one of them.
    bool explain(const diagnostic& each) const {
        const std::string path = in_file(each.path, each);
        const bool unknown =
            !each.section.empty() && (sections_.contains(each.section) || paths_.contains(each.section) ||
                                         sections_.contains(std::string(in_any_section)));
        return unknown || (!path.empty() && (paths_.contains(path) || above_.contains(path)));
    }

  private:
    /// Items of lists are counted in each file.
    static std::string in_file(const std::string& path, const diagnostic& of) {
        return path.find('[') == std::string::npos ? path : file_of(of) + "\n" + path;
    }

    static std::size_t next_step(const std::string& path, std::size_t from) {
        return path.find_first_of(".[", from);
    }

    std::set<std::string> paths_;
    std::set<std::string> above_; // these
    std::set<std::string> sections_;
};

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
    const causes known(first);
    std::set<std::string> told;
    for (diagnostic& each : rest)
        if (!known.explain(each) && is_new(each, told))
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

} // namespace compose
