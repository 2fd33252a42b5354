#include "engine/container/devices.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <optional>
#include <string_view>

namespace engine {

namespace fs = std::filesystem;

namespace {

/// Nothing for what is no device. `key`: that asks for it.
std::optional<device_node> read_device(const device_access& wanted, std::string_view key = "devices") {
    struct stat status {};
    if (::stat(wanted.source.c_str(), &status) != 0)
        throw_errno(fmt::format("{}: use", key), wanted.source);
    if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode))
        return std::nullopt;
    return device_node{.path = wanted.path.empty() ? wanted.source : wanted.path,
        .type = S_ISBLK(status.st_mode) ? 'b' : 'c',
        .major = major(status.st_rdev),
        .minor = minor(status.st_rdev),
        .mode = status.st_mode & 07777U,
        .uid = status.st_uid,
        .gid = status.st_gid,
        .permissions = wanted.permissions};
}

// All nodes of the host but those that every container has of its own.
std::vector<device_node> all_devices() {
    std::vector<device_node> nodes;
    std::error_code ignored;
    auto each =
        fs::recursive_directory_iterator("/dev", fs::directory_options::skip_permission_denied, ignored);
    for (; each != fs::end(each); each.increment(ignored)) {
        const std::string name = each->path().filename();
        if (each.depth() == 0 && (name == "pts" || name == "shm" || name == "mqueue" || name == "fd"))
            each.disable_recursion_pending();
        const fs::file_type type = each->symlink_status(ignored).type();
        if ((type != fs::file_type::character && type != fs::file_type::block) || name == "console" ||
            name == "ptmx" || name == "tty")
            continue;
        if (auto node = read_device({.source = each->path(), .path = each->path()}))
            nodes.push_back(std::move(*node));
    }
    return nodes;
}

/// Those in a folder and below, with their places kept, as Docker has it.
std::vector<device_node> devices_in(const device_access& folder) {
    std::vector<device_node> nodes;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder.source, ignored)) {
        const std::string below = entry.path().native().substr(folder.source.size());
        if (entry.is_symlink(ignored) || (!entry.is_character_file(ignored) && !entry.is_block_file(ignored)))
            continue;
        if (auto node = read_device({.source = entry.path(),
                .path = (folder.path.empty() ? folder.source : folder.path) + below,
                .permissions = folder.permissions}))
            nodes.push_back(std::move(*node));
    }
    return nodes;
}

} // namespace

std::vector<device_node> devices_of(const container_spec& spec) {
    std::vector<device_node> nodes = spec.privileged ? all_devices() : std::vector<device_node>();
    for (const device_access& wanted : spec.devices) {
        if (auto node = read_device(wanted)) {
            nodes.push_back(std::move(*node));
            continue;
        }
        std::vector<device_node> inside = devices_in(wanted);
        if (inside.empty())
            throw compose::error(compose::error_kind::invalid,
                fmt::format("devices: \"{}\" is not a device, nor a folder with any", wanted.source));
        nodes.insert(nodes.end(), inside.begin(), inside.end());
    }
    return nodes;
}

std::map<std::string, std::pair<std::int64_t, std::int64_t>> block_devices_of(const compose::blkio& of) {
    std::map<std::string, std::pair<std::int64_t, std::int64_t>> numbers;
    for (const auto* list : {&of.weight_device, &of.device_read_bps, &of.device_read_iops,
             &of.device_write_bps, &of.device_write_iops})
        for (const compose::device_rate& each : *list) {
            const auto node = read_device({.source = each.path, .path = {}}, "blkio_config");
            if (!node || node->type != 'b')
                throw compose::error(compose::error_kind::invalid,
                    fmt::format("blkio_config: \"{}\" is not a block device", each.path));
            numbers[each.path] = {node->major, node->minor};
        }
    return numbers;
}

} // namespace engine
