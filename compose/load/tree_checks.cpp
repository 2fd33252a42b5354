#include "compose/load/tree_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <initializer_list>

namespace compose {

namespace {

/// A name that a resource may have.
void check_keys(const node& tree, std::vector<diagnostic>& wrong) {
    const auto fits = [](std::string_view name) {
        return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
            return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
        });
    };
    for (const std::string_view kind : {"services", "networks", "volumes", "configs", "secrets", "models"})
        if (const node* resources = tree.find(kind))
            for (const auto& [name, value] : resources->entries)
                if (!fits(name))
                    wrong.push_back({.at = value.key_at,
                        .path = fmt::format("{}.{}", kind, name),
                        .message = "a name has letters, digits, and the characters . _ - only"});
}

/// One limit said in two places must be the same.
void check_twins(const node& service, const std::string& path, std::vector<diagnostic>& wrong) {
    const node* deploy = service.find("deploy");
    if (deploy == nullptr)
        return;
    const auto at = [](const node* from, std::initializer_list<std::string_view> way) {
        for (const std::string_view step : way)
            from = from == nullptr ? nullptr : from->find(step);
        return from;
    };
    const auto same = [&](std::string_view key, std::initializer_list<std::string_view> way) {
        const node* own = service.find(key);
        const node* twin = at(deploy, way);
        const bool unset = own != nullptr && own->text == "0" && key != "scale";
        if (own != nullptr && !unset && twin != nullptr && own->text != twin->text)
            wrong.push_back({.at = own->at,
                .path = fmt::format("{}.{}", path, key),
                .message = fmt::format("is {} here and {} in deploy; say it once", own->text, twin->text)});
    };
    same("scale", {"replicas"});
    same("cpus", {"resources", "limits", "cpus"});
    same("mem_limit", {"resources", "limits", "memory"});
    same("pids_limit", {"resources", "limits", "pids"});
    same("mem_reservation", {"resources", "reservations", "memory"});
}

/// What the top level of a project names.
struct declared {
    explicit declared(const node& tree)
        : services(tree.find("services")), secrets(tree.find("secrets")), configs(tree.find("configs")),
          models(tree.find("models")) {}

    key_index services;
    key_index secrets;
    key_index configs;
    key_index models;
};

/// What a build takes from elsewhere in the project must be there.
void check_build(
    const declared& all, const node& service, const std::string& path, std::vector<diagnostic>& wrong) {
    const node* build = service.find("build");
    if (build == nullptr)
        return;
    const auto fail = [&](const node& at, const std::string& key, std::string message,
                          std::string_view section = {}) {
        wrong.push_back({.at = at.at,
            .path = fmt::format("{}.build.{}", path, key),
            .message = std::move(message),
            .section = std::string(section)});
    };
    if (build->find("dockerfile") != nullptr && build->find("dockerfile_inline") != nullptr)
        fail(*build, "dockerfile", "dockerfile and dockerfile_inline exclude one another");
    if (const node* secrets = build->find("secrets"))
        for (std::size_t index = 0; index < secrets->items.size(); ++index)
            if (const std::string name = secrets->items[index].text_at("source");
                all.secrets.find(name) == nullptr)
                fail(secrets->items[index], fmt::format("secrets[{}]", index),
                    "refers to undefined secret " + name, "secrets");
    constexpr std::string_view of_service = "service:";
    if (const node* contexts = build->find("additional_contexts"))
        for (const auto& [name, from] : contexts->entries)
            if (from.text.starts_with(of_service)) {
                const std::string other = from.text.substr(of_service.size());
                const std::string key = "additional_contexts." + name;
                const node* there = all.services.find(other);
                if (there == nullptr)
                    fail(from, key, "refers to undefined service " + other, "services");
                else if (there->find("build") == nullptr)
                    fail(from, key, fmt::format("refers to service {}, which is not built", other));
            }
    const std::string platform = service.text_at("platform");
    const node* platforms = build->find("platforms");
    if (!platform.empty() && platforms != nullptr && !platforms->items.empty() &&
        std::none_of(platforms->items.begin(), platforms->items.end(),
            [&](const node& each) { return each.text == platform; }))
        fail(*platforms, "platforms", fmt::format("must have the platform of the service, {}", platform));
}

void check_watches(const node& service, const std::string& path, std::vector<diagnostic>& wrong) {
    const node* develop = service.find("develop");
    const node* watches = develop == nullptr ? nullptr : develop->find("watch");
    if (watches == nullptr)
        return;
    for (std::size_t index = 0; index < watches->items.size(); ++index)
        if (const node& each = watches->items[index];
            each.text_at("action").starts_with("sync") && each.text_at("target").empty())
            wrong.push_back({.at = each.at,
                .path = fmt::format("{}.develop.watch[{}]", path, index),
                .message = "\"target\" is missing; it says where in the container"});
}

void check_services(const node& services, const declared& all, std::vector<diagnostic>& wrong) {
    for (const auto& [name, service] : services.entries) {
        const std::string path = "services." + name;
        const auto given = [&from = service](std::string_view key) {
            const node* found = from.find(key);
            return found != nullptr && !found->is_null() && !(found->is_scalar() && found->text.empty());
        };
        const bool lacks_base = service.find("extends") != nullptr; // which is told
        if (!given("image") && !given("build") && !given("provider") && !lacks_base)
            wrong.push_back(
                {.at = service.at, .path = path, .message = "has neither an image nor a build; set image"});
        check_twins(service, path, wrong);
        check_build(all, service, path, wrong);
        check_watches(service, path, wrong);
    }
}

/// Where the content of a config or secret comes from: one place, and one only.
void check_sources(const node& tree, std::vector<diagnostic>& wrong) {
    for (const std::string_view kind : {"configs", "secrets"})
        if (const node* resources = tree.find(kind))
            for (const auto& [name, from] : resources->entries) {
                int sources = 0;
                for (const std::string_view key : {"file", "environment", "content"})
                    sources += from.find(key) != nullptr ? 1 : 0;
                if (const node* variable = from.find("environment");
                    variable != nullptr && variable->text.empty())
                    wrong.push_back({.at = variable->at,
                        .path = fmt::format("{}.{}.environment", kind, name),
                        .message = "is empty; it is the name of a variable"});
                const node* external = from.find("external");
                const bool elsewhere =
                    (external != nullptr && external->text == "true") || from.find("driver") != nullptr;
                if (sources == 1 || (elsewhere && sources == 0))
                    continue;
                wrong.push_back({.at = from.at,
                    .path = fmt::format("{}.{}", kind, name),
                    .message = fmt::format("needs {} of file, environment{}",
                        sources == 0 ? "one" : "only one", kind == "configs" ? ", content" : "")});
            }
}

/// What is made elsewhere is not said here how to make.
void check_external_volumes(const node& tree, std::vector<diagnostic>& wrong) {
    if (const node* volumes = tree.find("volumes"))
        for (const auto& [key, volume] : volumes->entries)
            if (volume.text_at("external") == "true" &&
                (volume.find("driver") != nullptr || volume.find("driver_opts") != nullptr ||
                    volume.find("labels") != nullptr))
                wrong.push_back({.at = volume.at,
                    .path = "volumes." + key,
                    .message =
                        "an external volume takes no driver, driver_opts or labels: it is made elsewhere"});
}

void check_binds(const node& tree, std::vector<diagnostic>& wrong) {
    const node* services = tree.find("services");
    if (services == nullptr)
        return;
    for (const auto& [name, service] : services->entries)
        if (const node* volumes = service.find("volumes"))
            for (std::size_t index = 0; index < volumes->items.size(); ++index)
                if (const node& each = volumes->items[index];
                    each.text_at("type") == "bind" && each.text_at("source").empty())
                    wrong.push_back({.at = each.at,
                        .path = fmt::format("services.{}.volumes[{}]", name, index),
                        .message = "a bind needs a source"});
}

/// A step of pre_start does something that the service does not.
void check_preparations(const node& tree, std::vector<diagnostic>& wrong) {
    const node* services = tree.find("services");
    if (services == nullptr)
        return;
    for (const auto& [name, service] : services->entries)
        if (const node* steps = service.find("pre_start"))
            for (std::size_t index = 0; index < steps->items.size(); ++index) {
                const node& each = steps->items[index];
                const node* command = each.find("command");
                const bool commanded =
                    command != nullptr && (!command->items.empty() || !command->text.empty());
                const std::string image = each.text_at("image");
                if (!commanded && (image.empty() || image == service.text_at("image")))
                    wrong.push_back({.at = each.at,
                        .path = fmt::format("services.{}.pre_start[{}]", name, index),
                        .message = "has neither a command nor an image of its own: it would do what the "
                                   "service does"});
            }
}

} // namespace

void check_tree(const node& tree, std::vector<diagnostic>& wrong) {
    check_keys(tree, wrong);
    check_sources(tree, wrong);
    check_external_volumes(tree, wrong);
    check_binds(tree, wrong);
    check_preparations(tree, wrong);
}

void check_references(const node& tree, std::vector<diagnostic>& wrong) {
    const node* services = tree.find("services");
    if (services == nullptr)
        return;
    const declared all(tree);
    check_services(*services, all, wrong);
    for (const auto& entry : services->entries) { // no binding: clang 14 lets no closure see one
        const node& service = entry.second;
        const std::string path = "services." + entry.first;
        constexpr std::string_view of_service = "service:";
        if (const std::string mode = service.text_at("network_mode"); mode.starts_with(of_service))
            if (const std::string other = mode.substr(of_service.size());
                all.services.find(other) == nullptr &&
                service.find("depends_on") == nullptr) // it tells it too
                wrong.push_back({.at = service.find("network_mode")->at,
                    .path = path + ".network_mode",
                    .message = fmt::format("service \"{}\" is not there, or off", other),
                    .section = "services"});
        if (const node* used = service.find("models"))
            for (const auto& [model, how] : used->entries)
                if (all.models.find(model) == nullptr)
                    wrong.push_back({.at = how.at,
                        .path = fmt::format("{}.models.{}", path, model),
                        .message = "refers to undefined model " + model,
                        .section = "models"});
    }
}

} // namespace compose
