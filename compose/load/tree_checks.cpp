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
        if (own != nullptr && twin != nullptr && own->text != twin->text)
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

/// What a build takes from elsewhere in the project must be there.
void check_build(
    const node& tree, const node& service, const std::string& path, std::vector<diagnostic>& wrong) {
    const node* build = service.find("build");
    if (build == nullptr)
        return;
    const auto fail = [&](const node& at, const std::string& key, std::string message) {
        wrong.push_back(
            {.at = at.at, .path = fmt::format("{}.build.{}", path, key), .message = std::move(message)});
    };
    if (build->find("dockerfile") != nullptr && build->find("dockerfile_inline") != nullptr)
        fail(*build, "dockerfile", "dockerfile and dockerfile_inline exclude one another");
    const auto declared = [&](std::string_view kind, const std::string& name) {
        const node* all = tree.find(kind);
        return all != nullptr && all->find(name) != nullptr;
    };
    if (const node* secrets = build->find("secrets"))
        for (const node& each : secrets->items)
            if (const std::string name = each.text_at("source"); !declared("secrets", name))
                fail(each, "secrets", "refers to undefined secret " + name);
    constexpr std::string_view of_service = "service:";
    if (const node* contexts = build->find("additional_contexts"))
        for (const auto& [name, from] : contexts->entries)
            if (from.text.starts_with(of_service)) {
                const std::string other = from.text.substr(of_service.size());
                const std::string key = "additional_contexts." + name;
                if (!declared("services", other))
                    fail(from, key, "refers to undefined service " + other);
                else if (tree.find("services")->find(other)->find("build") == nullptr)
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

void check_services(const node& tree, std::vector<diagnostic>& wrong) {
    const node* services = tree.find("services");
    if (services == nullptr)
        return;
    for (const auto& [name, service] : services->entries) {
        const std::string path = "services." + name;
        const auto given = [&from = service](std::string_view key) {
            const node* found = from.find(key);
            return found != nullptr && !found->is_null() && !(found->is_scalar() && found->text.empty());
        };
        if (!given("image") && !given("build") && !given("provider"))
            wrong.push_back(
                {.at = service.at, .path = path, .message = "has neither an image nor a build; set image"});
        check_twins(service, path, wrong);
        check_build(tree, service, path, wrong);
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

} // namespace

void check_tree(const node& tree, std::vector<diagnostic>& wrong) {
    check_keys(tree, wrong);
    check_sources(tree, wrong);
}

void check_references(const node& tree, std::vector<diagnostic>& wrong) {
    const node* services = tree.find("services");
    if (services == nullptr)
        return;
    check_services(tree, wrong);
    const auto refer = [&](const node& at, const std::string& path, std::string_view kind,
                           const std::string& name) {
        const node* resources = tree.find(kind);
        if (resources == nullptr || resources->find(name) == nullptr)
            wrong.push_back({.at = at.at,
                .path = path,
                .message = fmt::format("refers to undefined {} {}", kind.substr(0, kind.size() - 1), name)});
    };
    for (const auto& [name, service] : services->entries) {
        for (const std::string_view kind : {"configs", "secrets"})
            if (const node* used = service.find(kind))
                for (std::size_t index = 0; index < used->items.size(); ++index)
                    if (const node* source = used->items[index].find("source"))
                        refer(*source, fmt::format("services.{}.{}[{}]", name, kind, index), kind,
                            source->text);
        if (const node* used = service.find("models"))
            for (const auto& [model, how] : used->entries)
                refer(how, fmt::format("services.{}.models.{}", name, model), "models", model);
    }
}

} // namespace compose
