#include "engine/volume/known_mounts.hpp"

#include "compose/model/error.hpp"
#include "engine/store/store.hpp"
#include "engine/system/identifier.hpp"
#include "engine/system/mount.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace engine {

namespace fs = std::filesystem;
namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

constexpr std::size_t most_points = 1000;
constexpr int format_version = 1;

std::string since_of(const record& row) {
    try {
        return std::string(json::parse(row.value).at("since").as_string());
    } catch (const std::exception& failure) {
        throw error(error_kind::invalid,
            fmt::format("read mount point \"{}\" from the store: {}", row.key, failure.what()));
    }
}

} // namespace

known_mounts::known_mounts(store& records) : records_(records) {
    for (const record& row : records_.load(table::mount)) {
        since_.emplace(since_of(row) + row.key, row.key);
        points_.emplace(row.key);
    }
}

void known_mounts::learn(const fs::path& point) {
    if (point == "/" || !points_.insert(point).second)
        return;
    const std::string now = timestamp_now();
    records_.put(
        table::mount, point.native(), json::serialize(json::object{{"v", format_version}, {"since", now}}));
    since_.emplace(now + point.native(), point);
    if (since_.size() > most_points)
        forget(fs::path(since_.begin()->second));
}

void known_mounts::forget(const fs::path& point) {
    if (points_.erase(point) == 0)
        return;
    std::erase_if(since_, [&](const auto& entry) { return entry.second == point; });
    records_.erase(table::mount, point.native());
}

void check_disk_of(const fs::path& source, const std::set<fs::path>& known, const std::string& what) {
    const auto missing = missing_mount_of(source, known);
    if (!missing)
        return;
    const std::string point = missing->point.native();
    if (missing->of_fstab)
        throw error(error_kind::not_found,
            fmt::format("{} \"{}\": /etc/fstab has a disk at {}, which is not mounted; mount it: mount {}",
                what, source.native(), point, point));
    throw error(error_kind::not_found,
        fmt::format("{} \"{}\": what was mounted at {} when it was used before is not mounted; mount it. If "
                    "the folder beneath is meant from now on, put the files there, then compose up -d "
                    "--force-recreate",
            what, source.native(), point));
}

} // namespace engine
