#include "engine/project/revision.hpp"

#include "compose/encode/encode.hpp"
#include "compose/model/error.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace engine {

namespace json = boost::json;

namespace {

constexpr int format_version = 1;

} // namespace

std::string encode(const revision& value) {
    json::array steps;
    for (const planned_step& each : value.steps)
        steps.push_back(json::object{{"action", each.action}, {"name", each.name}, {"reason", each.reason}});
    json::object object{{"v", format_version}, {"revision", value.number}, {"created", value.created},
        {"definition", json::parse(compose::to_wire(value.definition))}, {"steps", std::move(steps)}};
    if (value.failed)
        object["failed"] = true;
    if (value.back_to != 0)
        object["back_to"] = value.back_to;
    if (value.user)
        object["user"] = *value.user;
    return json::serialize(object);
}

revision decode_revision(std::string_view key, std::string_view text) {
    try {
        const json::value parsed = json::parse(text);
        const json::object& object = parsed.as_object();
        revision value{.number = object.at("revision").to_number<std::uint64_t>(),
            .created = std::string(object.at("created").as_string()),
            .user = std::nullopt,
            .definition = compose::from_wire(json::serialize(object.at("definition"))),
            .steps = {}};
        value.failed = object.contains("failed") && object.at("failed").as_bool();
        if (const json::value* back_to = object.if_contains("back_to"))
            value.back_to = back_to->to_number<std::uint64_t>();
        if (const json::value* user = object.if_contains("user"))
            value.user = user->to_number<unsigned>();
        if (const json::value* steps = object.if_contains("steps"))
            for (const json::value& each : steps->as_array())
                value.steps.push_back({.action = std::string(each.at("action").as_string()),
                    .name = std::string(each.at("name").as_string()),
                    .reason = std::string(each.at("reason").as_string())});
        return value;
    } catch (const std::exception& failure) {
        throw compose::error(compose::error_kind::invalid,
            fmt::format("read revision \"{}\" from the store: {}", key, failure.what()));
    }
}

std::vector<planned_step> planned(const plan& steps) {
    std::vector<planned_step> said;
    for (const step& each : steps)
        if (each.kind != step_kind::await_condition && each.kind != step_kind::await_container &&
            each.kind != step_kind::watch_update)
            said.push_back(
                {.action = std::string(to_string(each.kind)), .name = each.name, .reason = each.reason});
    return said;
}

const revision* last_come_up(const std::vector<revision>& kept, std::uint64_t newest) {
    const revision* found = nullptr;
    for (const revision& each : kept)
        if (each.number < newest && !each.failed)
            found = &each;
    return found;
}

std::string revision_key(const std::string& project, std::uint64_t revision) {
    return fmt::format("{}/{:08}", project, revision);
}

} // namespace engine
