#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/encode/base64.hpp"
#include "compose/model/error.hpp"
#include "engine/store/store.hpp"
#include "engine/volume/secret_store.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>
#include <string>
#include <vector>

namespace api {

namespace json = boost::json;
using compose::error;
using compose::error_kind;
using engine::content_kind;

namespace {

constexpr std::size_t creation_limit = 1U << 20U; // 500 KiB in base64, with names and labels

/// The containers that have it.
std::vector<std::string> users_of(const daemon_parts& parts, content_kind kind, const std::string& name) {
    std::vector<std::string> users;
    const engine::content_key key{.project = {}, .kind = kind, .name = name, .digest = {}};
    for (const engine::container_view* each : parts.containers.all())
        if (engine::contents_of(each->record.definition).contains(key))
            users.push_back(each->record.name);
    return users;
}

json::object view_of(const daemon_parts& parts, content_kind kind, const engine::external_content& of) {
    const std::vector<std::string> users = users_of(parts, kind, of.name);
    return {{"name", of.name}, {"created", of.created}, {"labels", json::value_from(of.labels)},
        {"used_by", json::array(users.begin(), users.end())}};
}

struct creation {
    std::string name;
    std::map<std::string, std::string> labels;
    std::string content;
};

[[noreturn]] void refuse(content_kind kind, std::string_view why) {
    throw error(error_kind::invalid, fmt::format("create {}: {}", engine::to_string(kind), why));
}

/// No message has anything of the text: it is a secret.
creation read_creation(content_kind kind, const std::string& text) {
    boost::system::error_code failure;
    const json::value parsed = json::parse(text, failure);
    if (failure || !parsed.is_object())
        refuse(kind, "the body is no JSON object");
    creation made;
    std::optional<std::string> content;
    for (const auto& member : parsed.get_object()) {
        const std::string_view key = member.key();
        const json::value& value = member.value();
        if (key == "name" && value.is_string()) {
            made.name = value.get_string();
        } else if (key == "content" && value.is_string()) {
            content = compose::from_base64(value.get_string());
            if (!content)
                refuse(kind, "\"content\" is not base64");
        } else if (key == "labels" && value.is_object()) {
            for (const auto& label : value.get_object()) {
                if (!label.value().is_string())
                    refuse(kind, "\"labels\" are texts");
                made.labels.emplace(label.key(), label.value().get_string());
            }
        } else {
            refuse(kind, fmt::format("\"{}\" is not known, or of another type", key));
        }
    }
    if (!content || made.name.empty())
        refuse(kind, "\"name\" and \"content\" must be there");
    made.content = std::move(*content);
    return made;
}

engine::task<> list(exchange& request, daemon_parts parts, content_kind kind) {
    json::array all;
    for (const engine::external_content& each : parts.engine.secrets.list(kind))
        all.push_back(view_of(parts, kind, each));
    co_await send_json(request, 200, std::move(all));
}

engine::task<> create(exchange& request, daemon_parts parts, content_kind kind) {
    std::string text = co_await request.body(creation_limit);
    creation made = read_creation(kind, text);
    engine::wipe(text);
    parts.engine.secrets.create(kind, made.name, std::move(made.labels), std::move(made.content));
    co_await parts.engine.records.durable();
    json::object reply;
    reply["created"] = made.name;
    co_await send_json(request, 200, std::move(reply));
}

/// A secret's content never leaves the engine but for a container.
engine::task<> get_config(exchange& request, daemon_parts parts) {
    constexpr content_kind kind = content_kind::config;
    const std::string name = request.parameters.at("config");
    const engine::external_content* found = parts.engine.secrets.find(kind, name);
    if (found == nullptr)
        throw error(error_kind::not_found, fmt::format("config \"{}\": there is none of that name", name));
    json::object view = view_of(parts, kind, *found);
    engine::content_key key{.project = {}, .kind = kind, .name = name, .digest = {}};
    const std::string content = co_await parts.engine.secrets.content(std::move(key));
    view["content"] = compose::to_base64(content);
    co_await send_json(request, 200, std::move(view));
}

engine::task<> remove(exchange& request, daemon_parts parts, content_kind kind) {
    const std::string name = request.parameters.at(std::string(engine::to_string(kind)));
    if (const std::vector<std::string> users = users_of(parts, kind, name); !users.empty())
        throw error(error_kind::conflict, fmt::format("{} \"{}\" is in use by {}; remove these first",
                                              engine::to_string(kind), name, fmt::join(users, ", ")));
    parts.engine.secrets.remove(kind, name);
    co_await parts.engine.records.durable();
    json::object reply;
    reply["removed"] = name;
    co_await send_json(request, 200, std::move(reply));
}

} // namespace

void add_secret_routes(router& to, const daemon_parts& parts) {
    constexpr content_kind secret = content_kind::secret;
    constexpr content_kind config = content_kind::config;
    to.add("GET", "/api/v1/secrets", [parts](exchange& request) { return list(request, parts, secret); });
    to.add("POST", "/api/v1/secrets", [parts](exchange& request) { return create(request, parts, secret); });
    to.add("DELETE", "/api/v1/secrets/{secret}",
        [parts](exchange& request) { return remove(request, parts, secret); });
    to.add("GET", "/api/v1/configs", [parts](exchange& request) { return list(request, parts, config); });
    to.add("POST", "/api/v1/configs", [parts](exchange& request) { return create(request, parts, config); });
    to.add(
        "GET", "/api/v1/configs/{config}", [parts](exchange& request) { return get_config(request, parts); });
    to.add("DELETE", "/api/v1/configs/{config}",
        [parts](exchange& request) { return remove(request, parts, config); });
}

} // namespace api
