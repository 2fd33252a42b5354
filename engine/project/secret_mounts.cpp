#include "engine/project/secret_mounts.hpp"

#include "compose/model/error.hpp"
#include "engine/system/memory_file.hpp"
#include "engine/volume/secret_store.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

namespace engine {

namespace {

/// Checked when the definition came.
std::uint32_t number_of(const std::string& text) {
    std::uint32_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

std::string target_of(content_kind kind, const compose::content_reference& from) {
    const bool secret = kind == content_kind::secret;
    const std::string& target = from.target.empty() ? from.source : from.target;
    return target.starts_with('/') ? target : fmt::format("{}/{}", secret ? "/run/secrets" : "", target);
}

/// Overwritten whatever becomes of the start.
struct opened {
    ~opened() {
        for (std::string& each : contents)
            wipe(each);
    }
    std::vector<std::string> contents;
};

bool is_below(const std::string& path, const std::string& folder) {
    return path.size() > folder.size() + 1 && path.starts_with(folder) && path[folder.size()] == '/';
}

/// A file is put in its place by a mount, which needs one there: the runtime makes it, but not in what may
/// not be written.
void check_place(
    const std::string& service, const std::string& target, const std::vector<container_mount>& mounts) {
    const container_mount* around = nullptr;
    for (const container_mount& each : mounts)
        if (is_below(target, each.destination) &&
            (around == nullptr || each.destination.size() > around->destination.size()))
            around = &each;
    if (around == nullptr || !around->read_only || around->type != container_mount::kind::bind ||
        !around->subpath.empty())
        return;
    std::error_code none;
    const std::string place = around->source + target.substr(around->destination.size());
    if (std::filesystem::exists(std::filesystem::symlink_status(place, none)))
        return;
    throw compose::error(compose::error_kind::invalid,
        fmt::format("service \"{}\": the secret or config with the target \"{}\" lies below \"{}\", which is "
                    "mounted read-only and has no such file; make an empty one at \"{}\", or choose another "
                    "target",
            service, target, around->destination, place));
}

} // namespace

task<contents_in_memory> contents_for(
    engine_parts parts, container_record record, std::vector<container_mount> mounts) {
    const compose::service& service = record.service_definition();
    contents_in_memory made;
    opened all;
    all.contents.reserve(service.secrets.size() + service.configs.size());
    for (const content_kind kind : {content_kind::secret, content_kind::config})
        for (const compose::content_reference& each :
            kind == content_kind::secret ? service.secrets : service.configs) {
            const content_key key = key_of(record.definition, kind, each);
            std::string content;
            try {
                content = co_await parts.secrets.content(key);
            } catch (const compose::error& failure) {
                throw compose::error(
                    failure.kind(), fmt::format("start container \"{}\": {}", record.name, failure.what()));
            }
            secret_mount mount;
            mount.destination = target_of(kind, each);
            mount.size = content.size();
            mount.uid = number_of(each.uid);
            mount.gid = number_of(each.gid);
            mount.mode = each.mode.value_or(mount.mode);
            made.mounts.push_back(std::move(mount));
            all.contents.push_back(std::move(content));
        }
    if (!made.mounts.empty()) {
        auto work = [service = record.service, files = made.mounts, mounts] {
            for (const secret_mount& each : files)
                check_place(service, each.destination, mounts);
        };
        co_await blocking(parts.on.workers, work);
    }
    if (!made.mounts.empty())
        made.file = std::make_shared<const unique_fd>(make_memory_file(all.contents));
    co_return made;
}

} // namespace engine
