#include "engine/project/source_disks.hpp"

#include "engine/system/mount.hpp"
#include "engine/volume/known_mounts.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <filesystem>
#include <vector>

namespace engine {

namespace fs = std::filesystem;

namespace {

struct host_source {
    std::string path;
    std::string what; // for people
};

std::vector<host_source> sources_of(const compose::project& project, const std::set<std::string>& services) {
    std::vector<host_source> sources;
    for (const std::string& name : services) {
        const auto service = project.services.find(name);
        if (service == project.services.end())
            continue;
        for (const compose::mount& each : service->second.mounts) {
            if (each.type == compose::mount_type::bind)
                sources.push_back(
                    {.path = each.source, .what = fmt::format("service \"{}\": bind source", name)});
            const auto volume = each.type == compose::mount_type::volume ? project.volumes.find(each.source)
                                                                         : project.volumes.end();
            if (volume == project.volumes.end())
                continue;
            const auto device = volume->second.driver_opts.find("device");
            if (device != volume->second.driver_opts.end() && device->second.starts_with('/'))
                sources.push_back({.path = device->second,
                    .what = fmt::format("volume \"{}\": driver_opts.device", volume->second.name)});
        }
    }
    return sources;
}

bool has_something(const fs::path& path) {
    std::error_code none;
    return fs::exists(path, none) && !fs::is_empty(path, none) && !none;
}

} // namespace

task<> check_disks(engine_parts parts, compose::project project, std::set<std::string> services) {
    auto work = [sources = sources_of(project, services), known = parts.mounts.all()] {
        for (const host_source& each : sources)
            check_disk_of(each.path, known, each.what);
    };
    co_await blocking(parts.on.workers, work);
}

task<> accept_folders(engine_parts parts, compose::project project, std::set<std::string> services) {
    auto work = [sources = sources_of(project, services), known = parts.mounts.all()]() mutable {
        std::set<fs::path> meant;
        for (const host_source& each : sources)
            while (const auto missing = missing_mount_of(each.path, known)) {
                if (missing->of_fstab || !has_something(each.path))
                    break;
                known.erase(missing->point);
                meant.insert(missing->point);
            }
        return meant;
    };
    const std::set<fs::path> meant = co_await blocking(parts.on.workers, work);
    for (const fs::path& point : meant)
        parts.mounts.forget(point);
}

} // namespace engine
