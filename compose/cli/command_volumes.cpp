#include "compose/cli/context.hpp"
#include "compose/cli/table.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct volumes_flags {
    bool quiet = false;
    std::string format = "table";
    std::vector<std::string> services;
};

/// The members of `docker volume ls --format json`.
json::object json_of(const json::object& volume) {
    std::vector<std::string> labels;
    for (const auto& label : volume.at("labels").as_object())
        labels.push_back(
            fmt::format("{}={}", std::string_view(label.key()), std::string_view(label.value().as_string())));
    return {{"Availability", "N/A"}, {"Driver", text_of(volume, "driver")}, {"Group", "N/A"},
        {"Labels", fmt::format("{}", fmt::join(labels, ","))}, {"Links", "N/A"},
        {"Mountpoint", text_of(volume, "mountpoint")}, {"Name", text_of(volume, "name")}, {"Scope", "local"},
        {"Size", "N/A"}, {"Status", "N/A"}};
}

engine::task<> volumes(context& with, std::shared_ptr<volumes_flags> flags) {
    api::client daemon = with.daemon();
    api::target target("/api/v1/volumes");
    target.with("project", with.project_name());
    add_services(target, flags->services);
    const std::string text = co_await daemon.call("GET", target.text());
    const json::value all = parse_reply(text);
    std::vector<std::vector<std::string>> rows;
    for (const json::value& each : all.as_array()) {
        const json::object& volume = each.as_object();
        if (flags->quiet)
            fmt::print("{}\n", text_of(volume, "name"));
        else if (flags->format == "json")
            fmt::print("{}\n", json::serialize(json_of(volume)));
        else
            rows.push_back({text_of(volume, "driver"), text_of(volume, "name")});
    }
    if (!flags->quiet && flags->format == "table")
        fmt::print("{}", format_table({"DRIVER", "VOLUME NAME"}, rows, narrowest_column));
}

} // namespace

void add_volumes(const command_line& app) {
    const auto flags = std::make_shared<volumes_flags>();
    const command_line command = app.add_subcommand("volumes", "List volumes");
    command.add_flag("-q,--quiet", flags->quiet, "Only display volume names");
    command.add_option("--format", flags->format, "Format the output: table or json (one object a line)")
        .one_of({"table", "json"});
    command.add_option("SERVICE", flags->services, "those that these services use; all when none is named");
    command.runs([flags](context& with) { return volumes(with, flags); });
}

} // namespace compose::cli
