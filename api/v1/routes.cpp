#include "api/v1/routes.hpp"

#include "api/v1/views.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>

namespace api {

namespace {

engine::task<> ping(exchange& request) {
    boost::json::object reply{{"ok", true}};
    co_await send_json(request, 200, std::move(reply));
}

engine::task<> version(exchange& request, daemon_parts parts) {
    boost::json::object reply{{"version", parts.version}, {"api", "v1"},
        {"runtime", parts.containers.runtime().oci_runtime().native()}};
    co_await send_json(request, 200, std::move(reply));
}

} // namespace

void add_v1_routes(router& to, daemon_parts parts) {
    to.add("GET", "/api/v1/ping", [](exchange& request) { return ping(request); });
    to.add("GET", "/api/v1/version", [parts](exchange& request) { return version(request, parts); });
    add_revision_routes(to, parts); // before the actions of a project, which match any word, as are runs
    add_run_routes(to, parts);
    add_stats_routes(to, parts);
    add_archive_routes(to, parts);
    add_project_routes(to, parts);
    add_container_routes(to, parts);
    add_exec_routes(to, parts);
    add_attach_routes(to, parts);
    add_log_routes(to, parts);
    add_event_routes(to, parts);
    add_image_routes(to, parts);
    add_volume_routes(to, parts);
    add_secret_routes(to, parts);
}

} // namespace api
