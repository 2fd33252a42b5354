#include "compose/cli/context.hpp"
#include "compose/cli/table.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <cstdio>

namespace compose::cli {

namespace json = boost::json;

namespace {

engine::task<> top(context& with, std::shared_ptr<std::vector<std::string>> services) {
    const std::string name = with.project_name();
    api::client daemon = with.daemon();
    const json::array all = co_await list_containers(with, name, *services);
    std::vector<std::string> head{"SERVICE", "#"};
    std::vector<std::vector<std::string>> rows;
    for (const json::value& each : all) {
        const json::object& container = each.as_object();
        if (!container.contains("pid"))
            continue;
        std::string reply;
        try {
            reply = co_await daemon.call(
                "GET", fmt::format("/api/v1/containers/{}/top", text_of(container, "id")));
        } catch (const error& failure) {
            if (failure.kind() != error_kind::conflict && failure.kind() != error_kind::not_found)
                throw;
            continue; // it has ended meanwhile
        }
        const json::value listed = parse_reply(reply);
        if (head.size() == 2)
            for (const json::value& title : listed.at("titles").as_array())
                head.emplace_back(title.as_string());
        for (const json::value& process : listed.at("processes").as_array()) {
            std::vector<std::string> row{
                text_of(container, "service"), std::to_string(container.at("number").to_number<int>())};
            for (const json::value& field : process.as_array())
                row.emplace_back(field.as_string());
            rows.push_back(std::move(row));
        }
    }
    constexpr std::size_t narrowest = 4;
    constexpr std::size_t gap = 2;
    if (!rows.empty())
        fmt::print("{}", format_table(head, rows, narrowest, gap));
}

} // namespace

void add_top(const command_line& app) {
    const auto services = std::make_shared<std::vector<std::string>>();
    const command_line command = app.add_subcommand("top", "Display the running processes");
    command.add_option("SERVICE", *services, "services; all when none is named");
    command.runs([services](context& with) { return top(with, services); });
}

} // namespace compose::cli
