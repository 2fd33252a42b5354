#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/model/error.hpp"
#include "engine/container/process_list.hpp"
#include "engine/system/identifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <chrono>
#include <set>

namespace api {

namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

engine::task<> top(exchange& request, daemon_parts parts) {
    const engine::container_view& container = container_of(request, parts);
    if (!container.run)
        throw error(
            error_kind::conflict, fmt::format("container \"{}\" is not running", container.record.name));
    const engine::container_cgroup cgroup = parts.containers.runtime().cgroup(container.record.id);
    auto look = [cgroup] { return engine::processes_of(cgroup); };
    const auto rows = co_await engine::blocking(parts.engine.on.workers, look);
    json::object reply{
        {"titles", json::value_from(engine::process_titles())}, {"processes", json::value_from(rows)}};
    co_await send_json(request, 200, std::move(reply));
}

json::object view_of_usage(const engine::container_record& record, const engine::container_usage& usage) {
    const engine::usage_sample& now = usage.now;
    return {{"id", record.id}, {"name", record.name}, {"service", record.service},
        {"cpu_percent", usage.cpu_percent()}, {"cpu_nanoseconds", now.cpu.count()}, {"memory", now.memory},
        {"memory_limit", now.memory_limit}, {"received", now.received}, {"sent", now.sent},
        {"block_read", now.block_read}, {"block_written", now.block_written}, {"pids", now.processes}};
}

/// Those that run and have been sampled twice; `all`: each one that runs has.
json::array usages(
    const daemon_parts& parts, const std::string& project, const std::set<std::string>& services, bool& all) {
    json::array shown;
    all = true;
    for (const engine::container_view* each : parts.containers.of_project(project)) {
        if (!each->run || (!services.empty() && !services.contains(each->record.service)))
            continue;
        const engine::container_usage* usage = parts.stats.of(each->record.id);
        if (usage != nullptr && usage->whole)
            shown.push_back(view_of_usage(each->record, *usage));
        else
            all = false;
    }
    return shown;
}

engine::task<> stats(exchange& request, daemon_parts parts) {
    constexpr int rounds_of_patience = 3; // for those that have just been started
    const std::string project = request.parameters.at("project");
    const engine::project_record* known = parts.projects.find(project);
    if (known == nullptr)
        throw error(
            error_kind::not_found, fmt::format("project \"{}\": there is none of that name", project));
    const std::set<std::string> services = request.query.list("services");
    for (const std::string& service : services)
        if (!known->definition.services.contains(service) &&
            !known->definition.disabled_services.contains(service))
            throw error(error_kind::not_found, fmt::format("no such service: {}", service));
    const bool stream = request.query.flag("stream", true);
    const std::shared_ptr<void> watched = parts.stats.watch(project);
    co_await request.begin_stream(json_lines);
    request.on_close([&parts] { parts.stats.sampled().notify_all(); });
    int silent = 0;
    for (std::uint64_t round = parts.stats.round(); !request.closed();) {
        bool all = false;
        json::array shown = usages(parts, project, services, all);
        if (all || ++silent > rounds_of_patience) {
            json::object line{{"time", engine::timestamp(std::chrono::system_clock::now())},
                {"containers", std::move(shown)}};
            std::string text = line_of(line);
            co_await request.write(std::move(text));
            if (!stream)
                break;
        }
        while (round == parts.stats.round() && !request.closed())
            co_await parts.stats.sampled().wait();
        round = parts.stats.round();
    }
}

} // namespace

void add_stats_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/containers/{container}/top",
        [parts](exchange& request) { return top(request, parts); });
    to.add("GET", "/api/v1/projects/{project}/stats",
        [parts](exchange& request) { return stats(request, parts); });
}

} // namespace api
