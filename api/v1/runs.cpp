#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/encode/encode.hpp"
#include "compose/load/check.hpp"
#include "compose/load/loader.hpp"
#include "compose/model/error.hpp"
#include "engine/volume/sealer.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

namespace api {

namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

constexpr std::size_t definition_limit = 64U << 20U;

json::object object_in(const std::string& text) {
    try {
        json::value parsed = json::parse(text);
        return std::move(parsed.as_object());
    } catch (const std::exception&) {
        throw error(error_kind::invalid, "run: send {\"service\": NAME, \"changes\": {…}, \"definition\": "
                                         "{…}} as JSON; the latter two may "
                                         "be left out");
    }
}

std::string service_in(const json::object& body) {
    for (const auto& member : body)
        if (member.key() != "service" && member.key() != "changes" && member.key() != "definition")
            throw error(error_kind::invalid,
                fmt::format("run: \"{}\" is no key of a run", std::string_view(member.key())));
    for (const auto* key : {"changes", "definition"})
        if (const json::value* value = body.if_contains(key); value != nullptr && !value->is_object())
            throw error(error_kind::invalid, fmt::format("run: \"{}\" must be an object", key));
    const json::value* name = body.if_contains("service");
    if (name == nullptr || !name->is_string())
        throw error(error_kind::invalid, "run: \"service\" names the service and must be there");
    return std::string(name->as_string());
}

/// The definition with the service changed: each member of `changes` takes the place of the service's own.
compose::project changed(json::object definition, const std::string& service, const json::object& changes) {
    json::object& services = definition["services"].is_object() ? definition["services"].as_object()
                                                                : definition["services"].emplace_object();
    json::object once;
    if (const json::value* found = services.if_contains(service)) {
        once = found->as_object();
    } else if (json::value* off = definition.if_contains("disabled_services");
               off != nullptr && off->as_object().contains(service)) {
        once = off->at(service).as_object();
        off->as_object().erase(service);
    } else {
        throw error(error_kind::not_found, fmt::format("no such service: {}", service));
    }
    for (const auto& change : changes)
        if (change.value().is_null())
            once.erase(change.key());
        else
            once[change.key()] = change.value();
    services[service] = std::move(once);
    compose::project made = compose::from_wire(json::serialize(definition));
    for (const compose::mount& mount : made.services.at(service).mounts)
        if (mount.type == compose::mount_type::volume && !mount.source.empty() &&
            !made.volumes.contains(mount.source))
            made.volumes[mount.source].name = mount.source; // as the name says, of this host
    return made;
}

json::object definition_in(const exchange& request, const daemon_parts& parts, const json::object& body) {
    if (const json::value* given = body.if_contains("definition"))
        return given->as_object();
    const std::string& name = request.parameters.at("project");
    const engine::project_record* known = parts.projects.find(name);
    if (known == nullptr)
        throw error(error_kind::not_found,
            fmt::format("project \"{}\": there is none of that name, so send its definition", name));
    return json::parse(compose::to_wire(known->definition)).as_object();
}

void check(compose::project& of, const std::string& name) {
    if (of.name != name)
        throw error(error_kind::invalid,
            fmt::format("project \"{}\": the definition is that of \"{}\"", name, of.name));
    compose::check_project(of);
}

engine::task<> run(exchange& request, daemon_parts parts) {
    std::string text = co_await request.body(definition_limit);
    const json::object body = object_in(text);
    engine::wipe(text); // it may have secrets
    const std::string name = request.parameters.at("project");
    const std::string service = service_in(body);
    const std::string container = request.query.text("name");
    if (!container.empty() && !compose::is_container_name(container))
        throw error(error_kind::invalid,
            fmt::format(
                "{:?} is no name for a container; it has two or more letters, digits, _ . -, a letter or "
                "digit first",
                container));
    json::object definition = definition_in(request, parts, body);
    const json::object changes = body.contains("changes") ? body.at("changes").as_object() : json::object();
    compose::project wanted = compose::from_wire(json::serialize(definition));
    check(wanted, name);
    compose::project alone = changed(std::move(definition), service, changes);
    check(alone, name);
    const bool aliases = request.query.flag("use_aliases");
    compose::service once = engine::one_off_of(alone.services.at(service),
        changes.contains("ports") || request.query.flag("service_ports"), aliases);
    alone.disabled_services.clear();
    alone.services = {{service, std::move(once)}};
    engine::run_options how{.container = {.name = container,
                                .auto_remove = request.query.flag("auto_remove"),
                                .use_aliases = aliases},
        .dependencies = request.query.flag("dependencies", true),
        .remove_orphans = request.query.flag("remove_orphans"),
        .user = request.peer_user};
    std::shared_ptr<engine::operation> under_way =
        co_await parts.projects.run(std::move(wanted), std::move(alone), std::move(how));
    json::object nothing_first;
    co_await stream_operation(request, parts, std::move(under_way), std::move(nothing_first));
}

json::object view_of(const std::string& service, const engine::scheduled_run& run) {
    json::object view{{"service", service}, {"due", run.due}, {"skipped", run.skipped}};
    for (const auto& [key, text] : {std::pair("started", &run.started), std::pair("finished", &run.finished),
             std::pair("error", &run.error)})
        if (!text->empty())
            view[key] = *text;
    if (!run.finished.empty())
        view["exit_code"] = run.exit_code;
    return view;
}

engine::task<> list(exchange& request, daemon_parts parts) {
    const std::string& name = request.parameters.at("project");
    const engine::project_record* project = parts.projects.find(name);
    if (project == nullptr)
        throw error(error_kind::not_found, fmt::format("project \"{}\": there is none of that name", name));
    const std::set<std::string> services = request.query.list("services");
    for (const std::string& each : services)
        if (const auto found = project->definition.services.find(each);
            found == project->definition.services.end() || !found->second.scheduled)
            throw error(error_kind::not_found,
                fmt::format("project \"{}\": there is no service \"{}\" with a schedule", name, each));
    json::array all;
    for (const auto& [service, state] : project->schedules)
        if (services.empty() || services.contains(service))
            for (const engine::scheduled_run& run : state.runs)
                all.push_back(view_of(service, run));
    co_await send_json(request, 200, std::move(all));
}

} // namespace

void add_run_routes(router& to, const daemon_parts& parts) {
    to.add(
        "POST", "/api/v1/projects/{project}/run", [parts](exchange& request) { return run(request, parts); });
    to.add("GET", "/api/v1/projects/{project}/runs",
        [parts](exchange& request) { return list(request, parts); });
}

} // namespace api
