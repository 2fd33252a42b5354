#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/model/error.hpp"

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

engine::task<> get(exchange& request, daemon_parts parts) {
    co_await send_json(request, 200, view_of(container_of(request, parts), parts));
}

} // namespace

void add_container_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/containers", [parts](exchange& request) { return list(request, parts); });
    to.add(
        "GET", "/api/v1/containers/{container}", [parts](exchange& request) { return get(request, parts); });
}

} // namespace api
