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
    std::set<std::string> unknown = services;
    json::array all;
    for (const engine::container_view* each : parts.containers.all()) {
        if (!project.empty() && each->record.project != project)
            continue;
        unknown.erase(each->record.service);
        if (services.empty() || services.contains(each->record.service))
            all.push_back(view_of(*each, parts));
    }
    if (const engine::project_record* known = parts.projects.find(project))
        for (const std::string& name : unknown)
            if (!known->definition.services.contains(name) &&
                !known->definition.disabled_services.contains(name))
                throw compose::error(compose::error_kind::not_found,
                    fmt::format("no such service: {} in project \"{}\"", name, project));
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
