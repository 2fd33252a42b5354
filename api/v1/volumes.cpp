#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/model/error.hpp"
#include "engine/project/definitions.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <string>
#include <vector>

namespace api {

namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

/// The containers that have it.
std::vector<std::string> users_of(const std::string& volume, const daemon_parts& parts) {
    std::vector<std::string> users;
    for (const engine::container_view* each : parts.containers.all())
        if (engine::observe(*each).volumes.contains(volume))
            users.push_back(each->record.name);
    return users;
}

json::object view_of(const engine::volume_record& volume, const daemon_parts& parts) {
    const engine::volume_definition& how = volume.definition;
    json::object options;
    for (const auto& [key, value] : how.driver_opts)
        options[key] = value;
    json::object labels;
    for (const auto& [key, value] : engine::labels_of(how))
        labels[key] = value;
    const std::vector<std::string> users = users_of(how.name, parts);
    return {{"name", how.name}, {"project", how.project}, {"key", how.key}, {"driver", "local"},
        {"driver_opts", std::move(options)}, {"labels", std::move(labels)}, {"created", volume.created},
        {"mountpoint", parts.engine.volumes.path(how.name).native()},
        {"missing", parts.engine.volumes.is_missing(how.name)},
        {"containers", json::array(users.begin(), users.end())}};
}

/// `services`: those of its project's containers of these.
engine::task<> list(exchange& request, daemon_parts parts) {
    const std::string project = request.query.text("project");
    const std::set<std::string> services = request.query.list("services");
    std::set<std::string> used;
    for (const engine::container_view* each : parts.containers.all())
        if (services.contains(each->record.service) && (project.empty() || each->record.project == project))
            used.merge(engine::observe(*each).volumes);
    if (!project.empty())
        require_services(parts, project, services);
    json::array all;
    for (const engine::volume_record& each : parts.engine.volumes.list())
        if ((project.empty() || each.definition.project == project) &&
            (services.empty() || used.contains(each.definition.name)))
            all.push_back(view_of(each, parts));
    co_await send_json(request, 200, std::move(all));
}

[[noreturn]] void refuse(std::string_view why) {
    throw error(error_kind::invalid, fmt::format("create volume: {}", why));
}

std::map<std::string, std::string> texts_of(std::string_view key, const json::value& value) {
    std::map<std::string, std::string> texts;
    for (const auto& each : value.get_object()) {
        if (!each.value().is_string())
            refuse(fmt::format("\"{}\" are texts", key));
        texts.emplace(each.key(), each.value().get_string());
    }
    return texts;
}

engine::volume_definition read_definition(const std::string& text) {
    boost::system::error_code failure;
    const json::value parsed = json::parse(text, failure);
    if (failure || !parsed.is_object())
        refuse("the body is no JSON object");
    engine::volume_definition made;
    for (const auto& member : parsed.get_object()) {
        const std::string_view key = member.key();
        const json::value& value = member.value();
        if (key == "name" && value.is_string())
            made.name = value.get_string();
        else if (key == "driver_opts" && value.is_object())
            made.driver_opts = texts_of(key, value);
        else if (key == "labels" && value.is_object())
            made.labels = texts_of(key, value);
        else
            refuse(fmt::format("\"{}\" is not known, or of another type", key));
    }
    return made;
}

/// As Docker has it, one that is there already with the same options is as good as a new one.
engine::task<> create(exchange& request, daemon_parts parts) {
    constexpr std::size_t most = 1U << 16U;
    const std::string text = co_await request.body(most);
    engine::volume_definition wanted = read_definition(text);
    const std::string name = wanted.name;
    if (const engine::volume_record* there = parts.engine.volumes.find(name);
        there != nullptr && there->definition.driver_opts != wanted.driver_opts)
        throw error(error_kind::conflict,
            fmt::format("volume \"{0}\" is there already, with other options; remove it with: compose volume "
                        "rm {0}, or take another name",
                name));
    const engine::volume_record made = co_await parts.engine.volumes.create(std::move(wanted));
    co_await send_json(request, 200, view_of(made, parts));
}

engine::task<> remove(exchange& request, daemon_parts parts) {
    const std::string name = request.parameters.at("volume");
    if (parts.engine.volumes.find(name) == nullptr)
        throw error(error_kind::not_found, fmt::format("volume \"{}\": there is none of that name", name));
    if (const std::vector<std::string> users = users_of(name, parts); !users.empty())
        throw error(error_kind::conflict,
            fmt::format("volume \"{}\" is in use by {}; remove these first", name, fmt::join(users, ", ")));
    co_await parts.engine.volumes.remove(name);
    json::object reply;
    reply["removed"] = name;
    co_await send_json(request, 200, std::move(reply));
}

} // namespace

void add_volume_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/volumes", [parts](exchange& request) { return list(request, parts); });
    to.add("POST", "/api/v1/volumes", [parts](exchange& request) { return create(request, parts); });
    to.add(
        "DELETE", "/api/v1/volumes/{volume}", [parts](exchange& request) { return remove(request, parts); });
}

} // namespace api
