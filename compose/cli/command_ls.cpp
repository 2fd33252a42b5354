#include "compose/cli/context.hpp"
#include "compose/cli/table.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct ls_flags {
    bool all = false;
    bool quiet = false;
    std::string format = "table";
};

engine::task<> ls(context& with, std::shared_ptr<ls_flags> flags) {
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
        fmt::print("{}", format_table({"NAME", "STATUS", "CONFIG FILES"}, rows));
}

} // namespace

void add_ls(const command_line& app) {
    const auto flags = std::make_shared<ls_flags>();
    const command_line command = app.add_subcommand("ls", "List running compose projects");
    command.add_flag("-a,--all", flags->all, "Show all stopped Compose projects");
    command.add_flag("-q,--quiet", flags->quiet, "Only display project names");
    command.add_option("--format", flags->format, "table or json").one_of({"table", "json"});
    command.runs([flags](context& with) { return ls(with, flags); });
}

} // namespace compose::cli
