#include "engine/project/mount_resolver.hpp"

#include "compose/model/error.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace engine {

namespace fs = std::filesystem;
using compose::error;
using compose::error_kind;

namespace {

container_mount bind_of(const compose::mount& from) {
    return {.type = container_mount::kind::bind,
        .source = from.source,
        .destination = from.target,
        .read_only = from.read_only,
        .recursive = from.recursive != "disabled",
        .propagation = from.propagation};
}

container_mount tmpfs_of(const compose::mount& from) {
    container_mount made{
        .type = container_mount::kind::tmpfs, .destination = from.target, .read_only = from.read_only};
    if (from.tmpfs_size)
        made.options.push_back(fmt::format("size={}", *from.tmpfs_size));
    if (from.tmpfs_mode)
        made.options.push_back(fmt::format("mode={:o}", *from.tmpfs_mode));
    return made;
}

void make_bind_source(const compose::mount& from, const std::string& service) {
    std::error_code none;
    if (fs::exists(from.source, none))
        return;
    if (!from.create_host_path)
        throw error(error_kind::not_found,
            fmt::format("service \"{}\": bind source \"{}\" does not exist; make it, or mount its disk",
                service, from.source));
    fs::create_directories(from.source, none);
    if (none)
        throw error(error_kind::not_found,
            fmt::format("service \"{}\": bind source \"{}\" does not exist and cannot be made: {}", service,
                from.source, none.message()));
}

/// An anonymous volume is found again by whom it was made for: it stays with the service when its container
/// is made anew.
volume_definition anonymous_of(const container_record& record, const std::string& target) {
    return {.name = fmt::format("{}-{}-{}{}", record.project, record.service, record.number,
                [&] {
                    std::string plain = target;
                    std::replace(plain.begin(), plain.end(), '/', '-');
                    return plain;
                }()),
        .project = record.project,
        .key = {},
        .driver_opts = {},
        .labels = {{"com.docker.volume.anonymous", ""}}};
}

} // namespace

task<std::vector<container_mount>> resolve_mounts(
    engine_parts parts, container_record record, image_config image, std::vector<fs::path> layers) {
    const compose::service& service = record.service_definition();
    std::vector<container_mount> mounts;
    std::vector<compose::mount> wanted = service.mounts;
    for (const std::string& path : image.volumes) {
        const bool covered = std::any_of(wanted.begin(), wanted.end(), [&](const compose::mount& m) {
            return m.target == path;
        }) || std::any_of(service.tmpfs.begin(), service.tmpfs.end(), [&](const std::string& entry) {
            return entry.substr(0, entry.find(':')) == path;
        });
        if (!covered)
            wanted.push_back({.target = path});
    }
    for (const compose::mount& each : wanted) {
        if (each.type == compose::mount_type::tmpfs) {
            mounts.push_back(tmpfs_of(each));
            continue;
        }
        if (each.type == compose::mount_type::bind) {
            auto work = [each, name = record.service] { make_bind_source(each, name); };
            co_await blocking(parts.on.workers, work);
            mounts.push_back(bind_of(each));
            continue;
        }
        std::string name;
        if (each.source.empty()) {
            volume_definition anonymous = anonymous_of(record, each.target);
            name = anonymous.name;
            co_await parts.volumes.create(std::move(anonymous));
        } else {
            name = record.definition.volumes.at(each.source).name;
        }
        co_await parts.volumes.hold(name, record.id);
        std::vector<fs::path> from = each.nocopy ? std::vector<fs::path>() : layers;
        co_await parts.volumes.populate(name, std::move(from), each.target);
        container_mount made = bind_of(each);
        made.source = (parts.volumes.path(name) / each.subpath).native();
        if (made.source.ends_with('/'))
            made.source.pop_back();
        mounts.push_back(std::move(made));
    }
    co_return mounts;
}

} // namespace engine
