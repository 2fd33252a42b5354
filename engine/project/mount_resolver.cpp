#include "engine/project/mount_resolver.hpp"

#include "compose/model/error.hpp"
#include "engine/image/digest.hpp"
#include "engine/image/image_store.hpp"
#include "engine/system/mount.hpp"
#include "engine/volume/known_mounts.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace engine {

namespace fs = std::filesystem;
using compose::error;
using compose::error_kind;

namespace {

container_mount bind_of(const compose::mount& from) {
    const bool below = from.recursive != "disabled" && from.recursive != "writable";
    container_mount made{.type = container_mount::kind::bind,
        .source = from.source,
        .destination = from.target,
        .read_only = from.read_only,
        .recursive = from.recursive != "disabled",
        .propagation = from.propagation};
    made.read_only_below = from.type == compose::mount_type::bind && from.read_only && below;
    made.read_only_or_fail = from.recursive == "readonly";
    made.subpath = from.subpath;
    made.owners_inside = true;
    return made;
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

/// What comes and goes below the source is passed on only if its mount does that.
void check_propagation(const compose::mount& from, const std::string& service) {
    const bool shared = from.propagation.ends_with("shared");
    if (!shared && !from.propagation.ends_with("slave"))
        return;
    const mount_propagation there = propagation_of(from.source);
    if (there.shared || (!shared && there.slave))
        return;
    throw error(error_kind::invalid,
        fmt::format("service \"{}\": bind.propagation {} of \"{}\": its mount is not shared{}; make it so by "
                    "mount --make-rshared, or use rprivate",
            service, from.propagation, from.source, shared ? "" : " nor a slave"));
}

/// Gives where the file system of the source is mounted.
fs::path check_bind_source(
    const compose::mount& from, const container_record& record, const std::set<fs::path>& known) {
    std::error_code none;
    const bool has_run = !record.started.empty();
    check_disk_of(from.source, known, fmt::format("service \"{}\": bind source", record.service));
    if (!fs::exists(from.source, none)) {
        if (has_run || !from.create_host_path)
            throw error(error_kind::not_found,
                fmt::format("service \"{}\": bind source \"{}\" {}; make it, or mount its disk",
                    record.service, from.source, has_run ? "has disappeared" : "does not exist"));
        fs::create_directories(from.source, none);
        if (none)
            throw error(error_kind::not_found,
                fmt::format("service \"{}\": bind source \"{}\" does not exist and cannot be made: {}",
                    record.service, from.source, none.message()));
    }
    check_propagation(from, record.service);
    fs::path disk = mount_point_of(from.source);
    if (disk == "/" && record.mounted_sources.contains(from.source))
        throw error(error_kind::not_found,
            fmt::format("service \"{}\": the disk of bind source \"{}\" is not mounted; mount it, or make "
                        "the container anew if the source has moved: compose up -d --force-recreate",
                record.service, from.source));
    return disk;
}

/// An anonymous volume is found again by whom it was made for: it stays with the service when its container
/// is made anew.
std::string anonymous_name(
    const volume_store& volumes, const container_record& record, const std::string& target) {
    // Earlier versions had names that more than one could have: who has such a volume keeps it.
    std::string plain = target;
    std::replace(plain.begin(), plain.end(), '/', '-');
    std::string former = fmt::format("{}-{}-{}{}", record.project, record.service, record.number, plain);
    const volume_record* there = volumes.find(former);
    if (there != nullptr && there->definition.key.empty() && there->definition.project == record.project)
        return former;
    const std::string which = record.one_off ? "run/" + record.slug : std::to_string(record.number);
    constexpr std::size_t digits = 24;
    constexpr std::size_t longest = 200; // of 255 that a name may have
    const std::string owner = fmt::format("{}-{}-{}", record.project, record.service, record.number);
    const std::string all = fmt::format("{}/{}/{}{}", record.project, record.service, which, target);
    return fmt::format("{}-{}", owner.substr(0, longest), sha256_of(all).hex().substr(0, digits));
}

volume_definition anonymous_of(const volume_store& volumes, const container_record& record,
    const std::string& target, const std::map<std::string, std::string>& labels) {
    volume_definition made{.name = anonymous_name(volumes, record, target),
        .project = record.project,
        .key = {},
        .driver_opts = {},
        .labels = labels};
    made.labels["com.docker.volume.anonymous"] = "";
    return made;
}

std::string tmpfs_target(const std::string& entry) {
    return entry.substr(0, entry.find(':'));
}

bool has_tmpfs(const compose::service& service, const std::string& target) {
    return std::any_of(service.tmpfs.begin(), service.tmpfs.end(),
        [&](const std::string& entry) { return tmpfs_target(entry) == target; });
}

bool has_target(const std::vector<wanted_mount>& mounts, const std::string& target) {
    return std::any_of(
        mounts.begin(), mounts.end(), [&](const wanted_mount& each) { return each.how.target == target; });
}

} // namespace

std::vector<wanted_mount> own_mounts(
    const volume_store& volumes, const container_record& record, const image_config& image) {
    const compose::service& service = record.service_definition();
    std::vector<wanted_mount> mounts;
    for (const compose::mount& each : service.mounts) {
        wanted_mount made{.how = each, .volume = {}, .anonymous = {}, .layers = {}};
        if (each.type == compose::mount_type::volume && !each.source.empty())
            made.volume = record.definition.volumes.at(each.source).name;
        else if (each.type == compose::mount_type::volume)
            made.anonymous = anonymous_of(volumes, record, each.target, each.labels);
        mounts.push_back(std::move(made));
    }
    for (const std::string& target : image.volumes) {
        if (has_target(mounts, target) || has_tmpfs(service, target))
            continue;
        wanted_mount made{.how = {}, .volume = {}, .anonymous = {}, .layers = {}};
        made.how.target = target;
        made.anonymous = anonymous_of(volumes, record, target, {});
        mounts.push_back(std::move(made));
    }
    for (wanted_mount& each : mounts)
        if (!each.anonymous.name.empty())
            each.volume = each.anonymous.name;
    return mounts;
}

void join_mounts(
    std::vector<wanted_mount>& mounts, std::vector<wanted_mount> others, const compose::service& service) {
    const auto is_own = [&](const std::string& target) {
        return has_tmpfs(service, target) ||
               std::any_of(service.mounts.begin(), service.mounts.end(),
                   [&](const compose::mount& each) { return each.target == target; });
    };
    std::set<std::string> taken;
    for (wanted_mount& each : others) {
        const std::string target = each.how.target;
        if (is_own(target) || !taken.insert(target).second)
            continue;
        std::erase_if(mounts, [&](const wanted_mount& own) { return own.how.target == target; });
        mounts.push_back(std::move(each));
    }
}

namespace {

/// Makes, mounts and fills it where that is due.
/// What the volume is mounted with on the host and the runtime would not keep.
std::vector<std::string> restrictions_of(const volume_definition& volume) {
    std::vector<std::string> kept;
    const auto options = volume.driver_opts.find("o");
    if (options == volume.driver_opts.end())
        return kept;
    std::istringstream words(options->second);
    for (std::string word; std::getline(words, word, ',');)
        if (word == "ro" || word == "noexec" || word == "nosuid" || word == "nodev")
            kept.push_back(word);
    return kept;
}

task<container_mount> resolve_volume(engine_parts parts, std::string container, wanted_mount wanted) {
    if (!wanted.anonymous.name.empty()) {
        volume_definition anonymous = wanted.anonymous;
        co_await parts.volumes.create(std::move(anonymous));
    }
    co_await parts.volumes.hold(wanted.volume, container);
    const bool whole = wanted.how.subpath.empty();
    std::vector<fs::path> from = whole && !wanted.how.nocopy ? wanted.layers : std::vector<fs::path>();
    co_await parts.volumes.populate(wanted.volume, std::move(from), wanted.how.target);
    container_mount made = bind_of(wanted.how);
    made.source = parts.volumes.path(wanted.volume).native();
    made.options = restrictions_of(parts.volumes.find(wanted.volume)->definition);
    made.name = fmt::format("volume \"{}\"", wanted.volume);
    made.owners_inside = true;
    co_return made;
}

container_mount image_of(const engine_parts& parts, const compose::mount& from,
    const container_record& record, std::map<std::string, std::string>& images) {
    const auto picture = parts.images.find(from.source);
    if (!picture)
        throw error(error_kind::not_found,
            fmt::format(
                "start container \"{}\": image \"{}\", which it mounts at {}, is not here; pull it or "
                "load it",
                record.name, from.source, from.target));
    images[from.source] = picture->id;
    container_mount made{.type = container_mount::kind::image, .destination = from.target, .read_only = true};
    made.name = fmt::format("image \"{}\"", from.source);
    made.layers = parts.images.layer_folders(*picture);
    made.subpath = from.subpath;
    return made;
}

} // namespace

task<resolved_mounts> resolve_mounts(
    engine_parts parts, container_record record, std::vector<wanted_mount> wanted) {
    resolved_mounts result;
    for (const wanted_mount& each : wanted) {
        const compose::mount how = each.how;
        switch (how.type) {
        case compose::mount_type::tmpfs:
            result.mounts.push_back(tmpfs_of(how));
            break;
        case compose::mount_type::image:
            result.mounts.push_back(image_of(parts, how, record, result.images));
            break;
        case compose::mount_type::bind: {
            auto work = [how, record, known = parts.mounts.all()] {
                return check_bind_source(how, record, known);
            };
            const fs::path disk = co_await blocking(parts.on.workers, work);
            if (disk != "/")
                result.mounted_sources.insert(how.source);
            parts.mounts.learn(disk);
            result.mounts.push_back(bind_of(how));
            break;
        }
        case compose::mount_type::volume: {
            result.volumes.insert(each.volume);
            container_mount made = co_await resolve_volume(parts, record.id, each);
            result.mounts.push_back(std::move(made));
            break;
        }
        default:
            throw error(error_kind::invalid,
                fmt::format(
                    "start container \"{}\": what is mounted at {} is of a type that this host has not",
                    record.name, how.target));
        }
    }
    co_return result;
}

} // namespace engine
