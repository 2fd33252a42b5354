#include "compose/cli/context.hpp"
#include "compose/cli/table.hpp"
#include "compose/cli/terminal.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <set>
#include <unistd.h>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct stats_flags {
    bool all = false;
    bool no_stream = false;
    bool no_trunc = false;
    std::string format = "table";
    std::string service;
};

double number_of(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value == nullptr ? 0 : value->to_number<double>();
}

/// With the names that Docker's templates have.
json::object row_of(const json::object& usage, const stats_flags& flags) {
    constexpr std::size_t short_id = 12;
    const double memory = number_of(usage, "memory");
    const double limit = number_of(usage, "memory_limit");
    const std::string id = text_of(usage, "id");
    const auto pair = [&](std::string_view first, std::string_view second) {
        return fmt::format(
            "{} / {}", human_bytes(number_of(usage, first)), human_bytes(number_of(usage, second)));
    };
    return {{"BlockIO", pair("block_read", "block_written")},
        {"CPUPerc", fmt::format("{:.2f}%", number_of(usage, "cpu_percent"))},
        {"Container", text_of(usage, "name")}, {"ID", flags.no_trunc ? id : id.substr(0, short_id)},
        {"MemPerc", fmt::format("{:.2f}%", limit > 0 ? memory / limit * 100 : 0)},
        {"MemUsage", fmt::format("{} / {}", human_binary(memory), human_binary(limit))},
        {"Name", text_of(usage, "name")}, {"NetIO", pair("received", "sent")},
        {"PIDs", fmt::format("{:.0f}", number_of(usage, "pids"))}};
}

std::string shown(const std::vector<json::object>& rows, const stats_flags& flags) {
    if (flags.format != "table")
        return format_rows(flags.format, rows);
    std::vector<std::vector<std::string>> cells;
    for (const json::object& row : rows) {
        std::vector<std::string> line;
        for (const char* key : {"ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"})
            line.push_back(text_of(row, key));
        cells.push_back(std::move(line));
    }
    return format_table(
        {"CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"},
        cells, narrowest_column);
}

/// Those that do not run, which use nothing.
engine::task<std::vector<json::object>> idle(
    context& with, std::string project, std::vector<std::string> services, std::set<std::string> seen) {
    api::client daemon = with.daemon();
    const std::string text = co_await daemon.call("GET", containers_target(project, services));
    const json::value all = parse_reply(text);
    std::vector<json::object> found;
    for (const json::value& each : all.as_array())
        if (!seen.contains(text_of(each.as_object(), "id")))
            found.push_back(json::object{{"id", each.at("id")}, {"name", each.at("name")}});
    co_return found;
}

engine::task<> stats(context& with, std::shared_ptr<stats_flags> flags) {
    const std::string name = with.project_name();
    std::vector<std::string> services;
    if (!flags->service.empty())
        services.push_back(flags->service);
    const bool redraws = !flags->no_stream && is_terminal(STDOUT_FILENO);
    api::client daemon = with.daemon();
    api::target target = project_target(name, "/stats");
    target.with("stream", !flags->no_stream);
    add_services(target, services);
    std::unique_ptr<api::client_stream> stream;
    std::exception_ptr failure;
    try {
        stream = co_await daemon.open("GET", target.text());
    } catch (const error& thrown) {
        if (thrown.kind() != error_kind::not_found)
            throw;
        failure = std::current_exception();
    }
    if (failure && !co_await was_not_brought_up(with, name, services))
        std::rethrow_exception(failure);
    if (failure) { // then nothing runs
        fmt::print("{}", shown({}, *flags));
        co_return;
    }
    while (std::ferror(stdout) == 0) {
        const std::optional<std::string> text = co_await stream->next_line();
        if (!text)
            break;
        const json::value line = parse_reply(*text);
        std::vector<json::object> rows;
        std::set<std::string> seen;
        for (const json::value& each : line.at("containers").as_array()) {
            rows.push_back(row_of(each.as_object(), *flags));
            seen.insert(text_of(each.as_object(), "id"));
        }
        if (flags->all) {
            const std::vector<json::object> others = co_await idle(with, name, services, seen);
            for (const json::object& each : others)
                rows.push_back(row_of(each, *flags));
        }
        const std::string clear = redraws ? "\x1b[2J\x1b[H" : "";
        fmt::print("{}{}", clear, shown(rows, *flags));
        std::fflush(stdout);
    }
}

} // namespace

void add_stats(const command_line& app) {
    const auto flags = std::make_shared<stats_flags>();
    const command_line command =
        app.add_subcommand("stats", "Display a live stream of container(s) resource usage statistics");
    command.add_flag("-a,--all", flags->all, "Show all containers (default shows just running)");
    command.add_flag("--no-stream", flags->no_stream, "Print the first result and be done");
    command.add_flag("--no-trunc", flags->no_trunc, "Do not truncate output");
    command.add_option("--format", flags->format, "table, json, or a Go template");
    command.add_option("SERVICE", flags->service, "service; all when none is named");
    command.runs([flags](context& with) { return stats(with, flags); });
}

} // namespace compose::cli
