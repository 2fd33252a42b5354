#include "compose/load/yaml_fault.hpp"

#include <fmt/format.h>
#include <yaml-cpp/exceptions.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace compose {

namespace {

/// The lines up to `last`, without their ends.
std::vector<std::string_view> lines_up_to(std::string_view text, int last) {
    std::vector<std::string_view> lines;
    for (int line = 0; line <= last; ++line) {
        const std::size_t end = text.find('\n');
        std::string_view each = text.substr(0, end);
        if (each.ends_with('\r'))
            each.remove_suffix(1);
        lines.push_back(each);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

/// Without what it is indented by, and without a comment at its end.
std::string_view content_of(std::string_view line) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.starts_with('#'))
        return {};
    line = line.substr(0, line.find(" #"));
    return line.substr(0, line.find_last_not_of(" \t") + 1);
}

/// The nearest line above that says something; -1 when there is none.
int line_above(const std::vector<std::string_view>& lines, int line) {
    do
        --line;
    while (line >= 0 && content_of(lines[static_cast<std::size_t>(line)]).empty());
    return line;
}

yaml_fault at_content(const std::vector<std::string_view>& lines, int line, std::string message) {
    const std::string_view whole = lines[static_cast<std::size_t>(line)];
    return {.line = line,
        .column = static_cast<int>(std::min(whole.find_first_not_of(" \t"), whole.size())),
        .message = std::move(message)};
}

/// A line above that is taken for text, though what follows shows that it was meant for a key.
std::optional<yaml_fault> broken_key_above(const std::vector<std::string_view>& lines, int line) {
    const int above = line_above(lines, line);
    const std::string_view said =
        above < 0 ? std::string_view() : content_of(lines[static_cast<std::size_t>(above)]);
    if (said.empty() || said.ends_with(':') || said.find(": ") != std::string_view::npos ||
        said.starts_with('-'))
        return std::nullopt;
    return at_content(lines, above,
        said.find(':') != std::string_view::npos
            ? fmt::format("\"{}\" is no key: after its \":\" there must be a space", said)
            : fmt::format("\"{}\" is no key without a \":\" after it", said));
}

/// A ':' where no key can be.
yaml_fault misplaced_key(const std::vector<std::string_view>& lines, yaml_fault found) {
    const std::string_view line = lines[static_cast<std::size_t>(found.line)];
    const auto column = std::min(static_cast<std::size_t>(std::max(found.column, 0)), line.size());
    if (line.substr(0, column).find(": ") != std::string_view::npos)
        found.message = "a value with \": \" in it needs quotes, else that is a key of its own";
    else if (auto above = broken_key_above(lines, found.line))
        return *std::move(above);
    else
        found.message = "a key cannot stand here; look at how far it and the lines above it are indented";
    return found;
}

} // namespace

yaml_fault explain_yaml_fault(std::string_view text, yaml_fault found) {
    const std::vector<std::string_view> lines = lines_up_to(text, std::max(found.line, 0));
    const std::string_view line = lines.back();
    const std::string_view indent = line.substr(0, std::min(line.find_first_not_of(" \t"), line.size()));
    if (const auto tab = indent.find('\t'); tab != std::string_view::npos)
        return {.line = found.line,
            .column = static_cast<int>(tab),
            .message = "a tab indents this line; YAML takes spaces alone"};
    const std::string& said = found.message;
    if (said == YAML::ErrorMsg::UNKNOWN_TOKEN && static_cast<std::size_t>(found.column) < line.size())
        found.message = fmt::format(
            "a value cannot begin with {}; quote it", line[static_cast<std::size_t>(found.column)]);
    else if (said == YAML::ErrorMsg::MAP_VALUE)
        return misplaced_key(lines, std::move(found));
    else if (said == YAML::ErrorMsg::BLOCK_ENTRY)
        found.message = "a list cannot begin here; look at how far it and the lines above it are indented";
    else if (said == YAML::ErrorMsg::END_OF_MAP || said == YAML::ErrorMsg::END_OF_SEQ) {
        if (auto above = broken_key_above(lines, found.line))
            return *std::move(above);
        found.message = "this line is indented as none of those above that it could belong to";
    } else if (said == YAML::ErrorMsg::END_OF_MAP_FLOW || said == YAML::ErrorMsg::END_OF_SEQ_FLOW)
        // Also when a quote has swallowed what would close the bracket.
        found.message = "a { or [, or a quote after it, is not closed";
    else if (said.starts_with(YAML::ErrorMsg::UNKNOWN_ANCHOR))
        found.message = "there is no anchor of that name above; what is no alias needs quotes";
    return found;
}

} // namespace compose
