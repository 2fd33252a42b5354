#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

namespace api {

namespace json = boost::json;

namespace {

engine::task<> list(exchange& request, daemon_parts parts) {
    const std::string project = request.query.text("project");
    json::array all;
    for (const engine::container_view* each : parts.containers.all())
        if (project.empty() || each->record.project == project)
            all.push_back(view_of(*each, parts));
    co_await send_json(request, 200, std::move(all));
}

engine::task<> get(exchange& request, daemon_parts parts) {
    const std::string& wanted = request.parameters.at("container");
    const engine::container_view* found = parts.containers.find(wanted);
    if (found == nullptr)
        found = parts.containers.find_by_name(wanted);
    if (found == nullptr)
        throw compose::error(compose::error_kind::not_found,
            fmt::format("container \"{}\": there is none of that id or name", wanted));
    co_await send_json(request, 200, view_of(*found, parts));
}

} // namespace

void add_container_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/containers", [parts](exchange& request) { return list(request, parts); });
    to.add(
        "GET", "/api/v1/containers/{container}", [parts](exchange& request) { return get(request, parts); });
}

} // namespace api
