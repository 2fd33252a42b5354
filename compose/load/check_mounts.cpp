#include "compose/load/check.hpp"
#include "compose/load/node.hpp"
#include "compose/model/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

namespace compose {

namespace {

constexpr std::uint32_t most_mode = 07777;

std::string clean(const std::string& path) {
    std::string made = std::filesystem::path(path).lexically_normal().native();
    if (made.size() > 1 && made.ends_with('/'))
        made.pop_back();
    return made;
}

/// Options of tmpfs(5) that have a value, and those of every file system.
constexpr std::array<std::string_view, 9> tmpfs_values{
    "gid", "huge", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid", "usrquota_block_hardlimit"};
constexpr std::array<std::string_view, 33> tmpfs_flags{"async", "atime", "defaults", "dev", "diratime",
    "dirsync", "exec", "inode32", "inode64", "lazytime", "noatime", "nodev", "nodiratime", "noexec",
    "nolazytime", "norelatime", "nostrictatime", "nosuid", "noswap", "private", "relatime", "ro", "rprivate",
    "rshared", "rslave", "rw", "shared", "slave", "strictatime", "suid", "sync", "unbindable", "runbindable"};

/// What is wrong with it; empty: nothing.
std::string fault_of_tmpfs_option(const std::string& option) {
    const auto equals = std::min(option.find('='), option.size());
    const std::string name = option.substr(0, equals);
    const std::string value = option.substr(std::min(equals + 1, option.size()));
    std::vector<std::string_view> known(tmpfs_values.begin(), tmpfs_values.end());
    known.insert(known.end(), tmpfs_flags.begin(), tmpfs_flags.end());
    const auto is_among = [&](const auto& names) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (!is_among(known)) {
        const std::string meant = did_you_mean(name, known);
        return fmt::format("tmpfs has no option \"{}\"{}", name,
            meant.empty()
                ? "; there are size=64m, mode=1777, uid, gid, nr_inodes, ro, exec and others of mount(8)"
                : meant);
    }
    if (is_among(tmpfs_flags))
        return equals == option.size() ? "" : fmt::format("\"{}\" takes no value", name);
    const auto has_only = [&](std::string_view characters) {
        return !value.empty() && value.find_first_not_of(characters) == std::string::npos;
    };
    const std::string digits = value.substr(0, value.find_last_of("0123456789") + 1);
    const std::string unit = value.substr(digits.size());
    if (name == "mode" && (!has_only("01234567") || std::stoul(value.substr(0, 9), nullptr, 8) > most_mode))
        return fmt::format("mode \"{}\" is none; write it octal, like 1777", value);
    if ((name == "uid" || name == "gid") && !has_only("0123456789"))
        return fmt::format("{} \"{}\" is no number", name, value);
    const bool number = !digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos;
    const bool known_unit =
        unit.empty() || unit == "%" || std::string_view("kKmMgGtT").find(unit) != std::string_view::npos;
    if ((name == "size" || name.starts_with("nr_")) && !(number && known_unit))
        return fmt::format("{} \"{}\" is none; write a number, with k, m or g, like 64m", name, value);
    return {};
}

/// Folders that each image has or the container gets: a file cannot be in their place.
bool is_known_folder(const std::string& path) {
    static const std::set<std::string_view> known{"/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib",
        "/lib64", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/run/secrets", "/sbin", "/srv", "/sys",
        "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/local", "/usr/share", "/var", "/var/lib", "/var/log",
        "/var/run"};
    return known.contains(path);
}

bool is_below(const std::string& path, const std::string& folder) {
    return path.starts_with(folder + "/");
}

class mount_checker {
  public:
    mount_checker(const service& of, const report_fault& fail, const report_fault& warn)
        : of_(of), fail_(fail), warn_(warn) {}

    void run() {
        for (std::size_t index = 0; index < of_.mounts.size(); ++index)
            mount_of(fmt::format("volumes[{}]", index), of_.mounts[index]);
        for (std::size_t index = 0; index < of_.tmpfs.size(); ++index)
            tmpfs(fmt::format("tmpfs[{}]", index), of_.tmpfs[index]);
        contents("secrets", "/run/secrets/", of_.secrets);
        contents("configs", "/", of_.configs);
    }

  private:
    void target(const std::string& key, const std::string& path) {
        const std::string at = clean(path);
        if (at == "/")
            return fail_(
                key, "the target \"/\" is the container's own root; mount at a folder in it, like /data");
        if (const auto [twin, fresh] = targets_.emplace(at, key); !fresh)
            fail_(key, fmt::format("\"{}\" is the target of {} already", at, twin->second));
    }

    void mount_of(const std::string& key, const mount& each) {
        if (each.target.starts_with('/'))
            target(key, each.target);
        static const std::vector<std::string_view> known{"cached", "consistent", "default", "delegated"};
        if (!each.consistency.empty() &&
            std::find(known.begin(), known.end(), each.consistency) == known.end()) {
            const std::string meant = did_you_mean(each.consistency, known);
            warn_(key + ".consistency",
                fmt::format("\"{}\" has no effect{}", each.consistency,
                    meant.empty() ? "; there are consistent, cached and delegated, which Linux does not need"
                                  : meant));
        }
        if (each.type == mount_type::tmpfs && !each.source.empty())
            fail_(key + ".source",
                fmt::format("a tmpfs has no source; leave \"{}\" out, or write type: bind or "
                            "volume",
                    each.source));
        if (each.tmpfs_mode.value_or(0) > most_mode)
            fail_(key + ".tmpfs.mode",
                fmt::format("{} (octal {:o}) is no mode of a folder; write it octal, from "
                            "0 to 07777, like 01777",
                    *each.tmpfs_mode, *each.tmpfs_mode));
    }

    void tmpfs(const std::string& key, const std::string& entry) {
        const auto colon = std::min(entry.find(':'), entry.size());
        const std::string path = entry.substr(0, colon);
        if (!path.starts_with('/'))
            return fail_(key, fmt::format("the target \"{}\" must be an absolute path", path));
        target(key, path);
        std::istringstream options(entry.substr(std::min(colon + 1, entry.size())));
        for (std::string option; std::getline(options, option, ',');)
            if (const std::string why = option.empty() ? "" : fault_of_tmpfs_option(option); !why.empty())
                fail_(key, why);
    }

    void contents(std::string_view list, std::string_view below, const std::vector<content_reference>& used) {
        for (std::size_t index = 0; index < used.size(); ++index) {
            const std::string& given = used[index].target.empty() ? used[index].source : used[index].target;
            const std::string path = given.starts_with('/') ? given : fmt::format("{}{}", below, given);
            const std::string key = fmt::format("{}[{}]", list, index);
            const std::string at = clean(path);
            if (at == "/proc" || at == "/sys" || is_below(at, "/proc") || is_below(at, "/sys"))
                fail_(key + ".target",
                    fmt::format("\"{}\" is in a file system of the kernel, where no file can be "
                                "put; choose another path, like /run/secrets/{}",
                        given, used[index].source));
            else if (is_known_folder(at) || path.ends_with('/'))
                fail_(key + ".target", fmt::format("\"{}\" is a folder; say which file in it, like {}/{}",
                                           given, at == "/" ? "" : at, used[index].source));
            else
                target(key, at);
        }
    }

    const service& of_;
    const report_fault& fail_;
    const report_fault& warn_;
    std::map<std::string, std::string> targets_; // and the key of each
};

/// Members of a mount that are those of another type.
void check_members(const node& item, const std::string& path, std::vector<diagnostic>& told) {
    const std::string type = item.text_at("type");
    for (const std::string_view member : {"bind", "volume", "tmpfs", "image"}) {
        const node* of = item.find(member);
        if (of == nullptr || !of->is_map() || of->entries.empty() || member == type)
            continue;
        // Of a volume too: what is mounted is a folder of the host.
        const bool shared = type == "volume" && member == "bind" &&
                            std::all_of(of->entries.begin(), of->entries.end(), [](const auto& entry) {
                                return entry.first == "propagation" || entry.first == "selinux";
                            });
        if (!shared)
            told.push_back({.at = of->at,
                .path = fmt::format("{}.{}", path, member),
                .message = fmt::format(
                    "has no effect on a mount of type {}; its own options stand below {}:", type, type),
                .warning = true});
    }
    const node* tmpfs = item.find("tmpfs");
    if (const node* mode = tmpfs == nullptr ? nullptr : tmpfs->find("mode");
        mode != nullptr && mode->text.find_first_not_of("0123456789") != std::string::npos)
        told.push_back({.at = mode->at,
            .path = path + ".tmpfs.mode",
            .message = fmt::format("{} is no mode of a folder; write it octal, like 01777", mode->text)});
}

} // namespace

void check_mount_use(const service& of, const report_fault& fail, const report_fault& warn) {
    mount_checker(of, fail, warn).run();
}

void check_mount_members(const node& tree, std::vector<diagnostic>& told) {
    const node* services = tree.find("services");
    if (services == nullptr)
        return;
    for (const auto& [name, service] : services->entries)
        if (const node* volumes = service.find("volumes"))
            for (std::size_t index = 0; index < volumes->items.size(); ++index)
                check_members(
                    volumes->items[index], fmt::format("services.{}.volumes[{}]", name, index), told);
}

} // namespace compose
