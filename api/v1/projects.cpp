#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/encode/encode.hpp"
#include "compose/load/loader.hpp"
#include "compose/model/error.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/project/launch_builder.hpp"
#include "engine/volume/sealer.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace api {

namespace json = boost::json;

namespace {

constexpr std::size_t definition_limit = 64U << 20U; // ten thousand services fit

std::optional<std::chrono::nanoseconds> seconds_in(const exchange& request, const std::string& name) {
    const auto number = request.query.number(name);
    if (!number)
        return std::nullopt;
    return std::chrono::seconds(*number);
}

compose::project read_definition(
    const exchange& request, const std::string& text, std::vector<std::string>& warnings) {
    const std::string type = request.header("Content-Type");
    const std::string& name = request.parameters.at("project");
    if (type.starts_with("application/json")) {
        compose::project wanted = compose::from_wire(text);
        if (wanted.name != name)
            throw compose::error(compose::error_kind::invalid,
                fmt::format("project \"{}\": the definition is that of \"{}\"", name, wanted.name));
        compose::check_project(wanted);
        return wanted;
    }
    if (type.starts_with("application/yaml"))
        return compose::load_text(text, name, &warnings);
    throw compose::error(compose::error_kind::invalid,
        fmt::format("content type \"{}\": send application/json or application/yaml", type));
}

std::string file_managing(const daemon_parts& parts, const std::string& project) {
    const engine::project_record* known = parts.projects.find(project);
    return known == nullptr ? std::string() : parts.stacks.file_of(*known);
}

void warn(const daemon_parts& parts, const std::string& project, std::string detail) {
    engine::event what;
    what.project = project;
    what.kind = "project";
    what.name = project;
    what.status = "Warning";
    what.detail = std::move(detail);
    parts.engine.events.add(std::move(what));
}

/// What a firewall of others closes of the project's ports; one stands for all.
std::string closed_port(const daemon_parts& parts, const compose::project& project) {
    for (const auto& [name, service] : project.services)
        for (const compose::port& each : service.ports)
            if (std::string closed =
                    parts.engine.networks.closed_to_outside(each.host_ip, each.protocol, each.target);
                !closed.empty())
                return closed;
    return {};
}

engine::task<> put(exchange& request, daemon_parts parts) {
    std::string text = co_await request.body(definition_limit);
    std::vector<std::string> warnings;
    compose::project wanted = read_definition(request, text, warnings);
    engine::wipe(text); // it may have secrets
    engine::up_options options{.services = request.query.list("services"),
        .dependencies = request.query.flag("dependencies", true),
        .start = request.query.flag("start", true),
        .force_recreate = request.query.flag("force_recreate"),
        .recreate_dependencies = request.query.flag("recreate_dependencies"),
        .keep_containers = request.query.flag("keep_containers"),
        .remove_orphans = request.query.flag("remove_orphans"),
        .renew_anonymous = request.query.flag("renew_anonymous"),
        .wait = request.query.flag("wait"),
        .wait_timeout = seconds_in(request, "wait_timeout"),
        .grace = seconds_in(request, "timeout"),
        .user = request.peer_user};
    if (request.query.flag("dry_run")) {
        json::array steps;
        for (const engine::step& each : parts.projects.preview(std::move(wanted), options))
            steps.push_back(view_of(each));
        json::object reply;
        reply["steps"] = std::move(steps);
        co_await send_json(request, 200, std::move(reply));
        co_return;
    }
    json::array orphans;
    if (!options.remove_orphans)
        for (const std::string& name : parts.projects.orphans_of(wanted))
            orphans.emplace_back(name);
    const std::string name = wanted.name;
    const std::string file = file_managing(parts, name);
    std::string closed = closed_port(parts, wanted);
    std::shared_ptr<engine::operation> under_way =
        co_await parts.projects.up(std::move(wanted), std::move(options));
    for (std::string& each : warnings)
        warn(parts, name, std::move(each));
    if (!file.empty())
        warn(parts, name,
            fmt::format(
                "this stack is managed by {}: what is brought up by hand holds until that file changes "
                "or the daemon starts anew",
                file));
    if (!closed.empty())
        warn(parts, name, std::move(closed));
    json::object first{{"revision", under_way->revision}, {"orphans", std::move(orphans)}};
    co_await stream_operation(request, parts, std::move(under_way), std::move(first));
}

json::object summary_of(const engine::project_record& project, const daemon_parts& parts) {
    std::map<std::string, int> states;
    for (const engine::container_view* each : parts.containers.of_project(project.name()))
        ++states[std::string(engine::to_string(each->state))];
    json::object counts;
    for (const auto& [state, count] : states)
        counts[state] = count;
    json::array files;
    for (const std::string& file : project.definition.config_files)
        files.emplace_back(file);
    return {{"name", project.name()}, {"revision", project.revision}, {"created", project.created},
        {"config_files", std::move(files)}, {"working_dir", project.definition.working_dir},
        {"managed_by_file", !parts.stacks.file_of(project).empty()}, {"containers", std::move(counts)}};
}

engine::task<> list(exchange& request, daemon_parts parts) {
    json::array all;
    for (const engine::project_record* each : parts.projects.list())
        all.push_back(summary_of(*each, parts));
    co_await send_json(request, 200, std::move(all));
}

const engine::project_record& find(const exchange& request, const daemon_parts& parts) {
    const std::string& name = request.parameters.at("project");
    const engine::project_record* found = parts.projects.find(name);
    if (found == nullptr)
        throw compose::error(
            compose::error_kind::not_found, fmt::format("project \"{}\": there is none of that name", name));
    return *found;
}

engine::task<> get(exchange& request, daemon_parts parts) {
    const engine::project_record& project = find(request, parts);
    json::object view = summary_of(project, parts);
    view["definition"] = json::parse(compose::to_wire(project.definition));
    co_await send_json(request, 200, std::move(view));
}

std::string waits(const engine::container_record& record) {
    std::vector<std::string> names;
    for (const auto& [name, how] : record.service_definition().depends_on)
        names.push_back(name);
    return fmt::format(
        "container {} is to run and waits for what it depends on ({}); it is started when that is there",
        record.name, fmt::join(names, ", "));
}

engine::task<> repairs(exchange& request, daemon_parts parts) {
    const std::string project = request.parameters.at("project");
    json::array problems;
    if (const std::string problem = parts.stacks.problem_of(project); !problem.empty())
        problems.emplace_back(problem);
    else
        find(request, parts);
    json::array put_right;
    for (const engine::event& each : parts.engine.events.repairs(project))
        put_right.push_back(view_of(each));
    for (const engine::volume_record& each : parts.engine.volumes.list())
        if (const std::string& name = each.definition.name;
            each.definition.project == project && parts.engine.volumes.is_missing(name))
            problems.emplace_back(engine::missing_volume(name, parts.engine.volumes.path(name)));
    for (const engine::container_view* each : parts.containers.of_project(project))
        if (engine::is_due(*each) && !each->record.service_definition().depends_on.empty())
            problems.emplace_back(waits(each->record));
    json::object view{{"repairs", std::move(put_right)}, {"problems", std::move(problems)}};
    co_await send_json(request, 200, std::move(view));
}

engine::task<> remove(exchange& request, daemon_parts parts) {
    engine::down_options options{.volumes = request.query.flag("volumes"),
        .remove_orphans = request.query.flag("remove_orphans"),
        .grace = seconds_in(request, "timeout")};
    if (request.query.has("declared"))
        options.declared = request.query.list("declared");
    const std::string& name = request.parameters.at("project");
    const std::string file = file_managing(parts, name);
    std::shared_ptr<engine::operation> under_way = co_await parts.projects.down(name, options);
    if (!file.empty())
        warn(parts, name,
            fmt::format("this stack is managed by {}: it comes up again when that file changes or the daemon "
                        "starts; remove the file to keep it down",
                file));
    json::object nothing_first;
    co_await stream_operation(request, parts, std::move(under_way), std::move(nothing_first));
}

engine::task<> act(exchange& request, daemon_parts parts) {
    const std::string project = request.parameters.at("project");
    const std::string action = request.parameters.at("action");
    std::set<std::string> services = request.query.list("services");
    const auto grace = seconds_in(request, "timeout");
    const engine::wait_options wait{
        .wanted = request.query.flag("wait"), .limit = seconds_in(request, "wait_timeout")};
    std::shared_ptr<engine::operation> under_way;
    if (action == "start")
        under_way = co_await parts.projects.start(project, std::move(services), wait);
    else if (action == "stop")
        under_way =
            co_await parts.projects.stop(project, std::move(services), grace, request.query.flag("remove"));
    else if (action == "restart")
        under_way = co_await parts.projects.restart(
            project, std::move(services), grace, request.query.flag("dependents", true));
    else if (action == "kill")
        under_way = co_await parts.projects.kill(project, std::move(services),
            engine::signal_number(request.query.text("signal", "SIGKILL")), request.query.flag("orphans"));
    else if (action == "remove")
        under_way = co_await parts.projects.remove_stopped(
            project, std::move(services), request.query.flag("volumes"));
    else if (action == "pause" || action == "unpause")
        under_way = co_await parts.projects.pause(project, std::move(services), action == "pause");
    else
        throw compose::error(
            compose::error_kind::not_found, fmt::format("\"{}\" is nothing to do with a project; there are "
                                                        "start, stop, restart, kill, pause, unpause, "
                                                        "remove and run",
                                                action));
    json::object nothing_first;
    co_await stream_operation(request, parts, std::move(under_way), std::move(nothing_first));
}

} // namespace

void add_project_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/projects", [parts](exchange& request) { return list(request, parts); });
    to.add("PUT", "/api/v1/projects/{project}", [parts](exchange& request) { return put(request, parts); });
    to.add("GET", "/api/v1/projects/{project}", [parts](exchange& request) { return get(request, parts); });
    to.add("GET", "/api/v1/projects/{project}/repairs",
        [parts](exchange& request) { return repairs(request, parts); });
    to.add("DELETE", "/api/v1/projects/{project}",
        [parts](exchange& request) { return remove(request, parts); });
    to.add("POST", "/api/v1/projects/{project}/{action}",
        [parts](exchange& request) { return act(request, parts); });
}

} // namespace api
