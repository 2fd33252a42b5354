#include "engine/project/project_record.hpp"

#include "compose/encode/encode.hpp"
#include "compose/model/error.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace engine {

namespace json = boost::json;

namespace {

constexpr int format_version = 1;

} // namespace

std::string encode(const up_options& options) {
    json::object object{{"v", format_version},
        {"services", json::array(options.services.begin(), options.services.end())},
        {"dependencies", options.dependencies}, {"start", options.start},
        {"recreate_dependencies", options.recreate_dependencies},
        {"keep_containers", options.keep_containers}, {"force_recreate", options.force_recreate},
        {"remove_orphans", options.remove_orphans}, {"asked", options.asked}};
    if (!options.images_before.empty())
        object["images_before"] = json::value_from(options.images_before);
    if (options.back_to != 0)
        object["back_to"] = options.back_to;
    return json::serialize(object);
}

up_options decode_up(std::string_view key, std::string_view text) {
    try {
        const json::value parsed = json::parse(text);
        const json::object& object = parsed.as_object();
        const auto flag = [&](std::string_view name) {
            const json::value* value = object.if_contains(name);
            return value != nullptr && value->as_bool();
        };
        up_options options{.services = json::value_to<std::set<std::string>>(object.at("services")),
            .dependencies = object.at("dependencies").as_bool(),
            .start = object.at("start").as_bool(),
            .force_recreate = object.at("force_recreate").as_bool(),
            .recreate_dependencies = flag("recreate_dependencies"),
            .keep_containers = flag("keep_containers"),
            .remove_orphans = object.at("remove_orphans").as_bool()};
        if (const json::value* asked = object.if_contains("asked"))
            options.asked = asked->as_string();
        if (const json::value* images = object.if_contains("images_before"))
            options.images_before = json::value_to<std::map<std::string, std::string>>(*images);
        if (const json::value* revision = object.if_contains("back_to"))
            options.back_to = revision->to_number<std::uint64_t>();
        return options;
    } catch (const std::exception& failure) {
        throw compose::error(compose::error_kind::invalid,
            fmt::format("read the operation on project \"{}\" from the store: {}", key, failure.what()));
    }
}

std::string encode(const project_record& record) {
    json::object object{{"v", format_version}, {"revision", record.revision},
        {"definition", json::parse(compose::to_wire(record.definition))}, {"created", record.created},
        {"removing", record.removing}, {"remove_volumes", record.remove.volumes},
        {"remove_orphans", record.remove.remove_orphans}, {"schedules", to_json(record.schedules)}};
    if (const auto& declared = record.remove.declared)
        object["remove_declared"] = json::array(declared->begin(), declared->end());
    if (record.refused)
        object["refused"] = json::parse(compose::to_wire(*record.refused));
    return json::serialize(object);
}

project_record decode_project(std::string_view key, std::string_view text) {
    try {
        const json::value parsed = json::parse(text);
        const json::object& object = parsed.as_object();
        const json::value* orphans = object.if_contains("remove_orphans");
        const json::value* schedules = object.if_contains("schedules");
        project_record record;
        record.revision = object.at("revision").to_number<std::uint64_t>();
        record.definition = compose::from_wire(json::serialize(object.at("definition")));
        record.created = object.at("created").as_string();
        record.removing = object.at("removing").as_bool();
        record.remove.volumes = object.at("remove_volumes").as_bool();
        record.remove.remove_orphans = orphans != nullptr && orphans->as_bool();
        if (schedules != nullptr)
            record.schedules = schedules_in(schedules->as_object());
        if (const json::value* declared = object.if_contains("remove_declared"))
            record.remove.declared = json::value_to<std::set<std::string>>(*declared);
        if (const json::value* refused = object.if_contains("refused"))
            record.refused = compose::from_wire(json::serialize(*refused));
        return record;
    } catch (const std::exception& failure) {
        throw compose::error(compose::error_kind::invalid,
            fmt::format("read project \"{}\" from the store: {}", key, failure.what()));
    }
}

std::map<std::string, std::string> hashes_of(const compose::project& project) {
    std::map<std::string, std::string> hashes;
    for (const auto& [name, service] : project.services)
        hashes[name] = compose::service_hash(service);
    return hashes;
}

} // namespace engine
