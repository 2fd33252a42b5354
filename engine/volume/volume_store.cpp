#include "engine/volume/volume_store.hpp"

#include "compose/model/error.hpp"
#include "engine/store/store.hpp"
#include "engine/system/async_mutex.hpp"
#include "engine/system/crash_point.hpp"
#include "engine/system/identifier.hpp"
#include "engine/system/mount.hpp"
#include "engine/system/socket.hpp"
#include "engine/system/tree_writer.hpp"
#include "engine/volume/copy_up.hpp"
#include "engine/volume/known_mounts.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace engine {

namespace fs = std::filesystem;
namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

constexpr int format_version = 1;

json::object object_of(const std::map<std::string, std::string>& values) {
    json::object object;
    for (const auto& [key, value] : values)
        object[key] = value;
    return object;
}

std::map<std::string, std::string> map_of(const json::value& value) {
    std::map<std::string, std::string> result;
    for (const auto& member : value.as_object())
        result[member.key()] = member.value().as_string();
    return result;
}

std::string encode(const volume_record& record) {
    const volume_definition& wanted = record.definition;
    return json::serialize(json::object{{"v", format_version}, {"name", wanted.name},
        {"project", wanted.project}, {"key", wanted.key}, {"driver_opts", object_of(wanted.driver_opts)},
        {"labels", object_of(wanted.labels)}, {"created", record.created}, {"populated", record.populated},
        {"removing", record.removing}});
}

volume_record decode(const record& row) {
    try {
        const json::value value = json::parse(row.value);
        const auto text = [&](std::string_view key) { return std::string(value.at(key).as_string()); };
        return {.definition = {.name = text("name"),
                    .project = text("project"),
                    .key = text("key"),
                    .driver_opts = map_of(value.at("driver_opts")),
                    .labels = map_of(value.at("labels"))},
            .created = text("created"),
            .populated = value.at("populated").as_bool(),
            .removing = value.as_object().contains("removing") && value.at("removing").as_bool()};
    } catch (const std::exception& failure) {
        throw error(error_kind::invalid,
            fmt::format("read volume \"{}\" from the store: {}", row.key, failure.what()));
    }
}

// Those of Docker's driver "local".
void check_driver_options(const volume_definition& wanted) {
    if (wanted.driver_opts.empty())
        return;
    for (const auto& [key, value] : wanted.driver_opts)
        if (key != "type" && key != "o" && key != "device")
            throw error(error_kind::invalid,
                fmt::format("volume \"{}\": driver_opts.{} is not known; there are type, o and device",
                    wanted.name, key));
    for (const std::string_view key : {"type", "device"})
        if (const auto found = wanted.driver_opts.find(std::string(key));
            found == wanted.driver_opts.end() || found->second.empty())
            throw error(error_kind::invalid,
                fmt::format("volume \"{}\": driver_opts.{} is missing; for a folder of this host write type: "
                            "none, o: bind, device: /path",
                    wanted.name, key));
}

/// As Docker does it: the kernel takes an address, where people write the server's name.
std::string with_resolved_address(const std::string& type, std::string options) {
    if (type != "nfs" && type != "nfs4" && type != "cifs")
        return options;
    const std::size_t at = options.starts_with("addr=") ? 0 : options.find(",addr=");
    if (at == std::string::npos)
        return options;
    const std::size_t begin = options.find('=', at) + 1;
    const std::size_t length = std::min(options.find(',', begin), options.size()) - begin;
    try {
        options.replace(begin, length, address_of_host(options.substr(begin, length)));
    } catch (const error& failure) {
        throw error(failure.kind(), fmt::format("driver_opts.o: {}", failure.what()));
    }
    return options;
}

mount_request mount_of(const volume_definition& volume, const fs::path& target) {
    const auto option = [&](const char* key) {
        const auto found = volume.driver_opts.find(key);
        return found == volume.driver_opts.end() ? std::string() : found->second;
    };
    return {.source = option("device"), .target = target, .type = option("type"), .options = option("o")};
}

/// In a mounted volume while it is filled: with it, all that is there is of a copy that was cut short.
constexpr const char* half_filled = ".composed-half-filled";

void remove_content(const fs::path& folder) {
    for (const fs::directory_entry& each : fs::directory_iterator(folder))
        if (each.path().filename() != half_filled)
            remove_tree(each.path());
    fs::remove(folder / half_filled); // the last, or a second crash would make the rest look whole
}

void fill_mounted(
    const std::vector<fs::path>& layers, const std::string& path_in_image, const fs::path& into) {
    fs::create_directory(into / half_filled);
    flush_file_system(into);
    copy_from_layers(layers, path_in_image, into);
    flush_file_system(into);
    fs::remove(into / half_filled);
}

} // namespace

void check_volume_name(const std::string& name) {
    const auto word = [](unsigned char c) { return std::isalnum(c) != 0; };
    const bool valid =
        !name.empty() && name.size() <= 255 && word(static_cast<unsigned char>(name.front())) &&
        std::all_of(name.begin(), name.end(),
            [&](char c) { return word(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-'; });
    if (!valid)
        throw error(error_kind::invalid,
            fmt::format("volume name \"{}\": letters, digits and _ . - only, a letter or digit first", name));
}

void check_volume(const volume_definition& wanted) {
    check_volume_name(wanted.name);
    check_driver_options(wanted);
}

std::string missing_volume(const std::string& name, const fs::path& folder) {
    return fmt::format("volume \"{}\": its folder {} has disappeared; is its disk mounted? Put it back, or "
                       "remove the volume",
        name, folder.native());
}

struct volume_store::implementation {
    implementation(executors on, store& to, known_mounts& points, fs::path where)
        : executors_(on), records(to), mounts(points), folder(std::move(where)) {
        fs::create_directories(folder);
        for (const record& row : records.load(table::volume))
            if (volume_record loaded = decode(row); loaded.removing)
                half_removed.push_back(row.key);
            else
                volumes.emplace(row.key, std::move(loaded));
    }

    /// Unmounts a volume that nobody holds.
    task<> take_away(std::string name) {
        const auto found = volumes.find(name);
        if (found == volumes.end() || found->second.definition.driver_opts.empty())
            co_return;
        auto work = [target = folder / name / "_data"] { unmount(target); };
        co_await blocking(executors_.workers, work);
    }

    /// Of those who mount, fill, unmount or remove a volume.
    async_mutex& turn_of(const std::string& name) {
        return locks.try_emplace(name, executors_.io).first->second;
    }

    executors executors_;
    store& records;
    known_mounts& mounts;
    fs::path folder;
    /// Its folder and then its record. The caller has its turn.
    task<> clear_away(std::string name) {
        auto work = [folder = folder / name] {
            unmount(folder / "_data"); // or what it leads to would be removed
            remove_tree(folder);
        };
        co_await blocking(executors_.workers, work);
        crash_point("volume: its folder has gone");
        records.erase(table::volume, name);
        co_await records.durable();
    }

    std::map<std::string, volume_record> volumes;
    std::vector<std::string> half_removed; // by a former daemon
    std::map<std::string, async_mutex> locks;
    std::map<std::string, std::set<std::string>> holders; // of each volume: container ids
    std::set<std::string> missing;                        // that were used and whose folder has gone
};

volume_store::volume_store(executors on, store& records, known_mounts& mounts, fs::path folder)
    : implementation_(std::make_shared<implementation>(on, records, mounts, std::move(folder))) {}

volume_store::~volume_store() = default;

task<volume_record> volume_store::create(volume_definition wanted) {
    const auto self = implementation_;
    check_volume(wanted);
    const std::string name = wanted.name;
    const auto turn = co_await self->turn_of(name).lock();
    const auto found = self->volumes.find(name);
    if (found == self->volumes.end()) {
        volume_record record{.definition = std::move(wanted), .created = timestamp_now()};
        self->records.put(table::volume, name, encode(record));
        self->volumes.emplace(name, std::move(record));
    }
    co_await self->records.durable();
    crash_point("volume: its record is durable");
    const bool used = self->volumes.at(name).populated;
    auto work = [data = path(name), used] {
        if (!used)
            fs::create_directories(data);
    };
    co_await blocking(self->executors_.workers, work);
    co_return self->volumes.at(name);
}

const volume_record* volume_store::find(const std::string& name) const {
    const auto found = implementation_->volumes.find(name);
    return found == implementation_->volumes.end() ? nullptr : &found->second;
}

std::vector<volume_record> volume_store::list() const {
    std::vector<volume_record> all;
    for (const auto& [name, record] : implementation_->volumes)
        all.push_back(record);
    return all;
}

fs::path volume_store::path(const std::string& name) const {
    return implementation_->folder / name / "_data";
}

task<> volume_store::hold(std::string name, std::string container) {
    const auto self = implementation_;
    const auto turn = co_await self->turn_of(name).lock();
    const auto found = self->volumes.find(name);
    if (found == self->volumes.end())
        throw error(error_kind::not_found, fmt::format("volume \"{}\": there is none of that name", name));
    if (!found->second.definition.driver_opts.empty()) {
        auto work = [name, wanted = mount_of(found->second.definition, path(name)),
                        known = self->mounts.all()] {
            const bool of_host = wanted.source.starts_with('/');
            fs::path disk = of_host ? mount_point_of(wanted.source) : fs::path("/");
            if (is_mount_point(wanted.target))
                return disk;
            if (of_host)
                check_disk_of(wanted.source, known, fmt::format("volume \"{}\": driver_opts.device", name));
            fs::create_directories(wanted.target);
            try {
                mount_request resolved = wanted;
                resolved.options = with_resolved_address(resolved.type, resolved.options);
                mount_file_system(resolved);
            } catch (const error& failure) {
                throw error(failure.kind(), fmt::format("volume \"{}\": {}", name, failure.what()));
            }
            return disk;
        };
        const fs::path disk = co_await blocking(self->executors_.workers, work);
        self->mounts.learn(disk);
    }
    self->holders[name].insert(std::move(container));
}

task<> volume_store::release(std::string container) {
    const auto self = implementation_;
    std::vector<std::string> held;
    for (const auto& [name, containers] : self->holders)
        if (containers.contains(container))
            held.push_back(name);
    for (const std::string& name : held) {
        const auto turn = co_await self->turn_of(name).lock();
        const auto found = self->holders.find(name);
        if (found == self->holders.end() || found->second.erase(container) == 0 || !found->second.empty())
            continue;
        self->holders.erase(found);
        co_await self->take_away(name);
    }
}

task<> volume_store::recover(std::map<std::string, std::set<std::string>> holders) {
    const auto self = implementation_;
    for (const auto& [container, names] : holders)
        for (const std::string& name : names)
            self->holders[name].insert(container);
    std::vector<std::string> idle;
    for (const auto& [name, record] : self->volumes)
        if (!self->holders.contains(name))
            idle.push_back(name);
    for (const std::string& name : idle)
        co_await self->take_away(name);
    for (const std::string& name : std::exchange(self->half_removed, {}))
        co_await self->clear_away(name);
}

task<> volume_store::populate(std::string name, std::vector<fs::path> layers, std::string path_in_image) {
    const auto self = implementation_;
    const auto turn = co_await self->turn_of(name).lock();
    const auto found = self->volumes.find(name);
    if (found == self->volumes.end())
        throw error(error_kind::not_found, fmt::format("volume \"{}\": there is none of that name", name));
    const bool populated = found->second.populated;
    auto work = [data = path(name), name, layers, path_in_image, populated] {
        if (populated && !fs::is_directory(data))
            throw error(error_kind::not_found, missing_volume(name, data));
        if (populated)
            return;
        fs::create_directories(data);
        if (is_mounted_read_only(data))
            return;
        if (fs::exists(data / half_filled))
            remove_content(data);
        if (layers.empty() || !fs::is_empty(data))
            return;
        if (is_mount_point(data)) { // cannot be put in the place of another
            fill_mounted(layers, path_in_image, data);
            return;
        }
        // Beside it and then in its place, so that a half copy is never taken for the whole.
        const fs::path temporary = data.parent_path() / "_data.tmp";
        remove_tree(temporary);
        fs::create_directory(temporary);
        copy_from_layers(layers, path_in_image, temporary);
        crash_point("volume: a copy of the image's files is beside it");
        if (!fs::is_empty(temporary))
            flush_file_system(temporary); // or a power cut could leave the names without what is in them
        fs::rename(temporary, data);
        crash_point("volume: it is filled");
    };
    co_await blocking(self->executors_.workers, work);
    if (populated)
        co_return;
    const auto still = self->volumes.find(name);
    if (still == self->volumes.end())
        co_return;
    still->second.populated = true;
    self->records.put(table::volume, name, encode(still->second));
}

task<std::vector<volume_record>> volume_store::check() {
    const auto self = implementation_;
    std::vector<std::string> used;
    for (const auto& [name, record] : self->volumes)
        if (record.populated)
            used.push_back(name);
    auto work = [used, folder = self->folder] {
        std::set<std::string> gone;
        for (const std::string& name : used)
            if (!fs::is_directory(folder / name / "_data"))
                gone.insert(name);
        return gone;
    };
    const std::set<std::string> gone = co_await blocking(self->executors_.workers, work);
    std::vector<volume_record> changed;
    for (const std::string& name : used) {
        const auto found = self->volumes.find(name);
        if (found == self->volumes.end() || gone.contains(name) == self->missing.contains(name))
            continue;
        if (gone.contains(name))
            self->missing.insert(name);
        else
            self->missing.erase(name);
        changed.push_back(found->second);
    }
    co_return changed;
}

bool volume_store::is_missing(const std::string& name) const {
    return implementation_->missing.contains(name);
}

const fs::path& volume_store::folder() const noexcept {
    return implementation_->folder;
}

task<> volume_store::remove(std::string name) {
    const auto self = implementation_;
    const auto turn = co_await self->turn_of(name).lock();
    if (self->holders.contains(name))
        throw error(error_kind::conflict,
            fmt::format("remove volume \"{}\": a running container uses it; stop it first", name));
    const auto found = self->volumes.find(name);
    if (found == self->volumes.end())
        co_return;
    found->second.removing = true;
    self->records.put(table::volume, name, encode(found->second));
    self->volumes.erase(found);
    self->missing.erase(name);
    co_await self->records.durable();
    crash_point("volume: its removal is durable");
    co_await self->clear_away(name);
}

} // namespace engine
