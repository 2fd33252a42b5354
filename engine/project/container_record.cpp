#include "engine/project/container_record.hpp"

#include "compose/encode/encode.hpp"
#include "compose/model/error.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace engine {

namespace json = boost::json;

namespace {

constexpr int format_version = 1;

std::string_view condition_name(compose::dependency_condition condition) noexcept {
    switch (condition) {
    case compose::dependency_condition::started:
        return "service_started";
    case compose::dependency_condition::healthy:
        return "service_healthy";
    case compose::dependency_condition::completed_successfully:
        return "service_completed_successfully";
    }
    return "";
}

health_status health_status_from(std::string_view name) {
    for (const auto each : {health_status::healthy, health_status::unhealthy})
        if (to_string(each) == name)
            return each;
    return health_status::starting;
}

} // namespace

std::chrono::nanoseconds grace_of(const container_record& record) {
    constexpr auto default_grace = std::chrono::seconds(10);
    return record.service_definition().stop_grace_period.value_or(default_grace);
}

std::string encode(const container_record& record) {
    json::object object{{"v", format_version}, {"name", record.name}, {"project", record.project},
        {"service", record.service}, {"number", record.number}, {"one_off", record.one_off},
        {"hash", record.hash}, {"image", record.image}, {"image_reference", record.image_reference},
        {"definition", json::parse(compose::to_wire(record.definition))}, {"created", record.created},
        {"wanted", record.wanted}, {"paused", record.paused}, {"slug", record.slug},
        {"auto_remove", record.auto_remove}, {"manually_stopped", record.history.manually_stopped},
        {"restart_count", record.history.count}, {"generation", record.generation},
        {"restart_delay_ms", record.history.delay.count()}, {"started", record.started},
        {"boot", record.boot}, {"health", to_string(record.health.status)},
        {"failing_streak", record.health.failing_streak},
        {"mounted_sources", json::value_from(record.mounted_sources)},
        {"volumes", json::value_from(record.volumes)},
        {"mounted_images", json::value_from(record.mounted_images)}};
    if (record.comes_again)
        object["comes_again"] = true;
    if (record.follow_due)
        object["follow_due"] = true;
    if (!record.prepares.empty()) {
        object["prepares"] = record.prepares;
        object["step"] = record.step;
    }
    if (record.prepared > 0)
        object["prepared"] = record.prepared;
    if (record.place == container_place::coming)
        object["replaces"] = record.replaces;
    if (record.place == container_place::leaving)
        object["leaving"] = true;
    if (record.exit)
        object["exit"] = json::object{{"code", record.exit->code}, {"oom", record.exit->oom},
            {"finished", record.exit->finished}, {"error", record.exit->error}};
    return json::serialize(object);
}

container_record decode_container(std::string_view key, std::string_view text) {
    try {
        const json::value parsed = json::parse(text);
        const json::object& object = parsed.as_object();
        const auto string = [](const json::object& of, std::string_view name) {
            return std::string(of.at(name).as_string());
        };
        container_record record;
        record.id = key;
        record.name = string(object, "name");
        record.project = string(object, "project");
        record.service = string(object, "service");
        record.number = object.at("number").to_number<unsigned>();
        record.one_off = object.at("one_off").as_bool();
        if (const json::value* slug = object.if_contains("slug"))
            record.slug = slug->as_string();
        if (const json::value* removes = object.if_contains("auto_remove"))
            record.auto_remove = removes->as_bool();
        if (const json::value* paused = object.if_contains("paused"))
            record.paused = paused->as_bool();
        record.hash = string(object, "hash");
        record.image = string(object, "image");
        record.image_reference = string(object, "image_reference");
        record.definition = compose::from_wire(json::serialize(object.at("definition")));
        record.created = string(object, "created");
        record.wanted = object.at("wanted").as_bool();
        record.history.manually_stopped = object.at("manually_stopped").as_bool();
        record.history.count = object.at("restart_count").to_number<unsigned>();
        record.generation = object.at("generation").to_number<std::uint64_t>();
        record.started = string(object, "started");
        if (const json::value* delay = object.if_contains("restart_delay_ms"))
            record.history.delay = std::chrono::milliseconds(delay->to_number<std::int64_t>());
        record.comes_again = object.contains("comes_again");
        record.follow_due = object.contains("follow_due");
        if (const json::value* prepares = object.if_contains("prepares")) {
            record.prepares = prepares->as_string();
            record.step = object.at("step").to_number<unsigned>();
        }
        if (const json::value* prepared = object.if_contains("prepared"))
            record.prepared = prepared->to_number<unsigned>();
        if (const json::value* replaces = object.if_contains("replaces")) {
            record.place = container_place::coming;
            record.replaces = replaces->as_string();
        } else if (object.contains("leaving")) {
            record.place = container_place::leaving;
        }
        if (const json::value* boot = object.if_contains("boot"))
            record.boot = boot->as_string();
        if (const json::value* sources = object.if_contains("mounted_sources"))
            record.mounted_sources = json::value_to<std::set<std::string>>(*sources);
        if (const json::value* volumes = object.if_contains("volumes"))
            record.volumes = json::value_to<std::set<std::string>>(*volumes);
        if (const json::value* images = object.if_contains("mounted_images"))
            record.mounted_images = json::value_to<std::map<std::string, std::string>>(*images);
        record.health = {.status = health_status_from(string(object, "health")),
            .failing_streak = object.at("failing_streak").to_number<unsigned>()};
        if (const json::value* value = object.if_contains("exit")) {
            const json::object& exit = value->as_object();
            record.exit = last_exit{.code = exit.at("code").to_number<int>(),
                .oom = exit.at("oom").as_bool(),
                .finished = string(exit, "finished"),
                .error = string(exit, "error")};
        }
        return record;
    } catch (const std::exception& failure) {
        throw compose::error(compose::error_kind::invalid,
            fmt::format("read container \"{}\" from the store: {}", key, failure.what()));
    }
}

std::map<std::string, std::string> labels_of(const container_record& record) {
    const compose::service& service = record.service_definition();
    std::map<std::string, std::string> labels = service.labels;
    std::vector<std::string> dependencies;
    for (const auto& [name, how] : service.depends_on)
        dependencies.push_back(fmt::format("{}:{}:{}", name, condition_name(how.condition), how.restart));
    const auto set = [&](std::string_view key, std::string value) {
        labels[fmt::format("com.docker.compose.{}", key)] = std::move(value);
    };
    set("project", record.project);
    set("service", record.service);
    if (!record.prepares.empty())
        set("hook", "pre_start");
    else if (record.one_off)
        set("slug", record.slug);
    else
        set("container-number", std::to_string(record.number));
    set("oneoff", record.one_off ? "True" : "False");
    set("config-hash", record.hash);
    set("image", record.image);
    set("version", std::string(compose_version));
    set("depends_on", fmt::format("{}", fmt::join(dependencies, ",")));
    set("project.working_dir", record.definition.working_dir);
    set("project.config_files", fmt::format("{}", fmt::join(record.definition.config_files, ",")));
    return labels;
}

} // namespace engine
