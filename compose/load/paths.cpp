#include "compose/load/paths.hpp"

#include <algorithm>
#include <string_view>

namespace compose {

namespace {

bool is_remote(std::string_view context) {
    return context.find("://") != std::string_view::npos || context.starts_with("git@") ||
           context.starts_with("github.com/");
}

void resolve(node* path, const project_place& place) {
    if (path != nullptr && path->is_scalar() && !path->text.empty())
        path->text = absolute_path(path->text, place);
}

void resolve_build(node& build, const project_place& place) {
    if (node* context = build.find("context"); context != nullptr && !is_remote(context->text))
        resolve(context, place);
    if (node* others = build.find("additional_contexts"))
        for (auto& [key, each] : others->entries)
            if (!is_remote(each.text) && !each.text.starts_with("service:"))
                resolve(&each, place);
}

void resolve_resource(node& resource, const project_place& place) {
    resolve(resource.find("file"), place);
    node* options = resource.find("driver_opts");
    const std::string driver = resource.text_at("driver");
    if (options != nullptr && (driver.empty() || driver == "local") && options->text_at("o") == "bind")
        resolve(options->find("device"), place);
}

} // namespace

std::string absolute_path(const std::string& path, const project_place& place) {
    if (path.starts_with('/'))
        return path; // as it is: `..` behind a symbolic link is elsewhere
    const bool of_home = path == "~" || path.starts_with("~/");
    const auto whole =
        of_home ? std::filesystem::path(place.home) / path.substr(std::min<std::size_t>(2, path.size()))
                : place.directory / path;
    std::string full = whole.lexically_normal();
    if (full.size() > 1 && full.ends_with('/'))
        full.pop_back();
    return full;
}

void resolve_service_paths(node& service, const project_place& place) {
    if (node* volumes = service.find("volumes"))
        for (node& each : volumes->items)
            if (each.text_at("type") == "bind")
                resolve(each.find("source"), place);
    if (node* files = service.find("env_file"))
        for (node& each : files->items)
            resolve(each.find("path"), place);
    if (node* files = service.find("label_file"))
        for (node& each : files->items)
            resolve(&each, place);
    if (node* develop = service.find("develop"))
        if (node* watch = develop->find("watch"))
            for (node& each : watch->items)
                resolve(each.find("path"), place);
    if (node* build = service.find("build"))
        resolve_build(*build, place);
}

void resolve_paths(node& tree, const project_place& place) {
    if (node* services = tree.find("services"))
        for (auto& [name, service] : services->entries)
            resolve_service_paths(service, place);
    for (const std::string_view kind : {"volumes", "secrets", "configs"})
        if (node* resources = tree.find(kind))
            for (auto& [key, resource] : resources->entries)
                resolve_resource(resource, place);
}

} // namespace compose
