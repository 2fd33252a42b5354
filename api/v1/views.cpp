#include "api/v1/views.hpp"

#include "api/v1/routes.hpp"
#include "compose/model/error.hpp"
#include "engine/image/image_store.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/system/identifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <utility>

namespace api {

namespace json = boost::json;

json::object view_of(const engine::event& what) {
    json::object view{{"sequence", what.sequence}, {"time", engine::timestamp(what.time)},
        {"project", what.project}, {"kind", what.kind}, {"name", what.name}};
    if (!what.status.empty())
        view["status"] = what.status;
    if (what.one_off)
        view["one_off"] = true;
    if (!what.action.empty()) {
        view["action"] = what.action;
        view["attributes"] = json::value_from(what.attributes);
    }
    if (!what.id.empty())
        view["id"] = what.id;
    if (!what.service.empty())
        view["service"] = what.service;
    if (!what.detail.empty())
        view["detail"] = what.detail;
    if (what.current)
        view["current"] = *what.current;
    if (what.total)
        view["total"] = *what.total;
    if (what.exit_code)
        view["exit_code"] = *what.exit_code;
    return view;
}

json::object view_of(const engine::step& what) {
    json::array after;
    for (const std::size_t index : what.after)
        after.emplace_back(index);
    json::object view{
        {"action", engine::to_string(what.kind)}, {"name", what.name}, {"after", std::move(after)}};
    if (!what.service.empty())
        view["service"] = what.service;
    if (!what.reason.empty())
        view["reason"] = what.reason;
    return view;
}

namespace {

json::array ports_view(const engine::container_view& container, const engine::attachment& network) {
    json::array ports;
    for (const engine::published_port& port : network.published)
        ports.push_back(json::object{{"host_ip", engine::to_string(port.host)}, {"published", port.port},
            {"target", port.target}, {"protocol", engine::to_string(port.protocol)}});
    if (!container.run)
        return {};
    return ports;
}

} // namespace

namespace {

std::string_view name_of(compose::mount_type type) noexcept {
    switch (type) {
    case compose::mount_type::bind:
        return "bind";
    case compose::mount_type::volume:
        return "volume";
    case compose::mount_type::tmpfs:
        return "tmpfs";
    case compose::mount_type::image:
        return "image";
    case compose::mount_type::cluster:
        return "cluster";
    case compose::mount_type::npipe:
        return "npipe";
    }
    return "volume";
}

} // namespace

json::object view_of(const engine::container_view& container, const daemon_parts& parts) {
    const engine::container_record& record = container.record;
    json::object labels;
    for (const auto& [key, value] : engine::labels_of(record))
        labels[key] = value;
    json::object view{{"id", record.id}, {"name", record.name}, {"project", record.project},
        {"service", record.service}, {"number", record.number}, {"one_off", record.one_off},
        {"image", record.image_reference}, {"image_id", record.image}, {"created", record.created},
        {"state", engine::to_string(container.state)}, {"restart_count", record.history.count},
        {"config_hash", record.hash}, {"tty", record.service_definition().tty},
        {"labels", std::move(labels)}};
    json::array command;
    const compose::service& service = record.service_definition();
    for (const auto* part : {&service.entrypoint, &service.command})
        if (*part)
            for (const std::string& word : **part)
                command.emplace_back(word);
    if (command.empty())
        if (const auto picture = parts.engine.images.find(record.image)) {
            for (const std::string& word : picture->config.entrypoint)
                command.emplace_back(word);
            for (const std::string& word : picture->config.cmd)
                command.emplace_back(word);
        }
    view["command"] = std::move(command);
    json::array mounts;
    for (const compose::mount& each : service.mounts) {
        const bool named = each.type == compose::mount_type::volume && !each.source.empty();
        mounts.push_back(json::object{{"type", name_of(each.type)},
            {"source", named ? record.definition.volumes.at(each.source).name : each.source},
            {"target", each.target}});
    }
    view["mounts"] = std::move(mounts);
    if (container.run)
        view["pid"] = container.run->pid;
    if (!record.started.empty())
        view["started"] = record.started;
    if (container.health) {
        view["health"] = engine::to_string(container.health->status());
        if (container.health->status() == engine::health_status::unhealthy)
            if (const std::string why = engine::last_failure(*container.health); !why.empty())
                view["health_failure"] = why;
    }
    if (record.exit) {
        view["exit_code"] = record.exit->code;
        view["finished"] = record.exit->finished;
        view["oom"] = record.exit->oom;
        if (!record.exit->error.empty() && !container.run)
            view["error"] = record.exit->error;
    }
    if (const auto& scheduled = service.scheduled; scheduled && !record.one_off) {
        json::object schedule{{"when", scheduled->when}};
        const engine::project_record* project = parts.projects.find(record.project);
        if (const auto next = project == nullptr ? std::nullopt : engine::next_run(*project, record.service))
            schedule["next"] = engine::timestamp(*next);
        view["schedule"] = std::move(schedule);
    }
    json::object addresses;
    if (const engine::attachment* network = parts.engine.networks.find_attachment(record.id)) {
        view["ports"] = ports_view(container, *network);
        for (const engine::endpoint& each : network->endpoints)
            if (const auto address = engine::address_of(each))
                addresses[each.network] = engine::to_string(*address);
    }
    view["networks"] = std::move(addresses);
    return view;
}

const engine::container_view& container_of(const exchange& request, const daemon_parts& parts) {
    const std::string& wanted = request.parameters.at("container");
    const engine::container_view* found = parts.containers.find(wanted);
    if (found == nullptr)
        found = parts.containers.find_by_name(wanted);
    if (found == nullptr)
        throw compose::error(compose::error_kind::not_found,
            fmt::format("container \"{}\": there is none of that id or name", wanted));
    return *found;
}

void require_services(const daemon_parts& parts, const std::string& project, std::set<std::string> services) {
    for (const engine::container_view* each : parts.containers.of_project(project))
        services.erase(each->record.service);
    const engine::project_record* known = parts.projects.find(project);
    for (const std::string& name : services)
        if (known == nullptr || (!known->definition.services.contains(name) &&
                                    !known->definition.disabled_services.contains(name)))
            throw compose::error(compose::error_kind::not_found, fmt::format("no such service: {}", name));
}

json::object error_view(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const compose::error& thrown) {
        return {{"kind", compose::to_string(thrown.kind())}, {"message", thrown.what()}};
    } catch (const std::exception& thrown) {
        return {{"kind", "internal"}, {"message", thrown.what()}};
    }
}

std::string line_of(const json::object& value) {
    return json::serialize(value) + "\n";
}

engine::task<> send_json(exchange& request, int status, json::object value) {
    co_await request.send(status, "application/json", json::serialize(value) + "\n");
}

engine::task<> send_json(exchange& request, int status, json::array value) {
    co_await request.send(status, "application/json", json::serialize(value) + "\n");
}

engine::task<> stream_operation(
    exchange& request, daemon_parts parts, std::shared_ptr<engine::operation> under_way, json::object first) {
    engine::event_log& events = parts.engine.events;
    co_await request.begin_stream(json_lines);
    if (!first.empty())
        co_await request.write(line_of(first));
    request.on_close([&events] { events.wake(); });
    std::uint64_t next = under_way->first_event;
    while (!request.closed()) {
        const bool done = under_way->done(); // looked at before the events: none can come after it
        const auto batch = events.since(next);
        next = batch.next;
        std::string lines;
        if (batch.missed > 0)
            lines += line_of(json::object{{"overflow", batch.missed}});
        for (const engine::event& each : batch.events)
            if (each.project == under_way->project && !each.status.empty())
                lines += line_of(view_of(each));
        co_await request.write(std::move(lines));
        if (done)
            break;
        // What changed while the lines were written is not announced again.
        if (!under_way->done() && !request.closed())
            co_await events.wait(next);
    }
    json::object last;
    if (under_way->failure())
        last["error"] = error_view(under_way->failure());
    else
        last["done"] = true;
    if (!under_way->failure() && under_way->container)
        last["container"] = *under_way->container;
    co_await request.write(line_of(last));
}

} // namespace api
