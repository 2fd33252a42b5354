#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/model/error.hpp"
#include "engine/system/identifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <set>

namespace api {

namespace json = boost::json;

namespace {

engine::task<> list(exchange& request, daemon_parts parts) {
    const std::string project = request.query.text("project");
    const std::set<std::string> services = request.query.list("services");
    if (parts.projects.find(project) != nullptr)
        require_services(parts, project, services);
    json::array all;
    for (const engine::container_view* each : parts.containers.all()) {
        if (!project.empty() && each->record.project != project)
            continue;
        if (services.empty() || services.contains(each->record.service))
            all.push_back(view_of(*each, parts));
    }
    co_await send_json(request, 200, std::move(all));
}

json::array health_log(const engine::health_state& health) {
    json::array all;
    for (const engine::probe_result& each : health.log())
        all.push_back(json::object{{"started", engine::timestamp(each.started_at)},
            {"finished", engine::timestamp(each.finished_at)}, {"exit_code", each.exit_code},
            {"output", each.output}});
    return all;
}

engine::task<> get(exchange& request, daemon_parts parts) {
    const engine::container_view& container = container_of(request, parts);
    json::object view = view_of(container, parts);
    if (container.health)
        view["health_log"] = health_log(*container.health);
    co_await send_json(request, 200, std::move(view));
}

} // namespace

void add_container_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/containers", [parts](exchange& request) { return list(request, parts); });
    to.add(
        "GET", "/api/v1/containers/{container}", [parts](exchange& request) { return get(request, parts); });
}

} // namespace api
