#include "compose/cli/context.hpp"
#include "compose/cli/table.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <regex>
#include <string>
#include <vector>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct ls_flags {
    bool all = false;
    bool quiet = false;
    std::string format = "table";
    std::vector<std::string> filters; // name=RE
};

/// What a project's name is looked for with, as Docker Compose does: by regular expressions, any of which may
/// fit a part of it. Throws error{invalid}.
std::vector<std::regex> names_in(const std::vector<std::string>& filters) {
    std::vector<std::regex> names;
    for (const std::string& each : filters) {
        const auto equals = each.find('=');
        if (equals == std::string::npos)
            throw error(error_kind::invalid, fmt::format("--filter \"{}\": write name=EXPRESSION", each));
        if (each.substr(0, equals) != "name")
            throw error(error_kind::invalid,
                fmt::format("--filter \"{}\": there is no such filter; there is name", each));
        try {
            names.emplace_back(each.substr(equals + 1));
        } catch (const std::regex_error&) {
            throw error(
                error_kind::invalid, fmt::format("--filter \"{}\": it is no regular expression", each));
        }
    }
    return names;
}

engine::task<> ls(context& with, std::shared_ptr<ls_flags> flags) {
    const std::vector<std::regex> names = names_in(flags->filters);
    api::client daemon = with.daemon();
    const std::string text = co_await daemon.call("GET", "/api/v1/projects");
    const json::value all = parse_reply(text);
    std::vector<std::vector<std::string>> rows;
    json::array shown;
    for (const json::value& each : all.as_array()) {
        const json::object& project = each.as_object();
        std::vector<std::string> states;
        bool running = false;
        for (const auto& state : project.at("containers").as_object()) {
            states.push_back(
                fmt::format("{}({})", std::string_view(state.key()), state.value().to_number<int>()));
            running = running || (state.key() != "exited" && state.key() != "created");
        }
        if (!running && !flags->all)
            continue;
        const auto fits = [name = text_of(project, "name")](
                              const std::regex& wanted) { return std::regex_search(name, wanted); };
        if (!names.empty() && std::none_of(names.begin(), names.end(), fits))
            continue;
        const bool managed = project.at("managed_by_file").as_bool();
        std::vector<std::string> files;
        for (const json::value& file : project.at("config_files").as_array())
            files.emplace_back(file.as_string());
        rows.push_back({text_of(project, "name"),
            fmt::format("{}{}", fmt::join(states, ", "), managed ? ", managed by file" : ""),
            fmt::format("{}", fmt::join(files, ","))});
        shown.push_back(json::object{
            {"Name", rows.back()[0]}, {"Status", rows.back()[1]}, {"ConfigFiles", rows.back()[2]}});
    }
    if (flags->quiet)
        for (const auto& row : rows)
            fmt::print("{}\n", row[0]);
    else if (flags->format == "json")
        fmt::print("{}\n", json::serialize(shown));
    else
        fmt::print("{}", format_table({"NAME", "STATUS", "CONFIG FILES"}, rows, 2 * narrowest_column));
}

} // namespace

void add_ls(const command_line& app) {
    const auto flags = std::make_shared<ls_flags>();
    const command_line command = app.add_subcommand("ls", "List running compose projects");
    command.add_flag("-a,--all", flags->all, "Show all stopped Compose projects");
    command.add_flag("-q,--quiet", flags->quiet, "Only display project names");
    command.add_option("--filter", flags->filters, "Projects of such a name only: name=EXPRESSION")
        .one_each();
    command.add_option("--format", flags->format, "table or json").one_of({"table", "json"});
    command.runs([flags](context& with) { return ls(with, flags); });
}

} // namespace compose::cli
