#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "engine/project/definitions.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>

namespace api {

namespace json = boost::json;

namespace {

json::object view_of(const engine::volume_record& volume, const daemon_parts& parts) {
    const engine::volume_definition& how = volume.definition;
    json::object options;
    for (const auto& [key, value] : how.driver_opts)
        options[key] = value;
    json::object labels;
    for (const auto& [key, value] : engine::labels_of(how))
        labels[key] = value;
    json::array users;
    for (const engine::container_view* each : parts.containers.all())
        if (engine::observe(*each).volumes.contains(how.name))
            users.emplace_back(each->record.name);
    return {{"name", how.name}, {"project", how.project}, {"key", how.key}, {"driver", "local"},
        {"driver_opts", std::move(options)}, {"labels", std::move(labels)}, {"created", volume.created},
        {"mountpoint", parts.engine.volumes.path(how.name).native()},
        {"missing", parts.engine.volumes.is_missing(how.name)}, {"containers", std::move(users)}};
}

/// `services`: those of its project's containers of these.
engine::task<> list(exchange& request, daemon_parts parts) {
    const std::string project = request.query.text("project");
    const std::set<std::string> services = request.query.list("services");
    std::set<std::string> used;
    for (const engine::container_view* each : parts.containers.all())
        if (services.contains(each->record.service) && (project.empty() || each->record.project == project))
            used.merge(engine::observe(*each).volumes);
    json::array all;
    for (const engine::volume_record& each : parts.engine.volumes.list())
        if ((project.empty() || each.definition.project == project) &&
            (services.empty() || used.contains(each.definition.name)))
            all.push_back(view_of(each, parts));
    co_await send_json(request, 200, std::move(all));
}

} // namespace

void add_volume_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/volumes", [parts](exchange& request) { return list(request, parts); });
}

} // namespace api
