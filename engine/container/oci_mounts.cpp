#include "engine/container/oci_mounts.hpp"

#include "compose/model/error.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace engine {

namespace json = boost::json;

namespace {

json::object mount(std::string_view destination, std::string_view type, std::string_view source,
    const std::vector<std::string>& options) {
    return {{"destination", destination}, {"type", type}, {"source", source},
        {"options", json::array(options.begin(), options.end())}};
}

// moby's oci/defaults.go.
json::array default_mounts(const container_spec& spec, const oci_host& host) {
    const std::string writable = spec.privileged ? "rw" : "ro";
    json::array mounts;
    mounts.push_back(mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}));
    mounts.push_back(mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}));
    mounts.push_back(mount("/dev/pts", "devpts", "devpts",
        {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}));
    mounts.push_back(mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", writable}));
    mounts.push_back(
        mount("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", writable}));
    // Of the namespace that it is mounted from, so the host's where that is shared.
    mounts.push_back(mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}));
    if (spec.host_ipc)
        mounts.push_back(mount("/dev/shm", "bind", "/dev/shm", {"rbind", "nosuid", "noexec", "nodev"}));
    else if (!host.shared_memory.empty())
        mounts.push_back(
            mount("/dev/shm", "bind", host.shared_memory, {"bind", "nosuid", "noexec", "nodev", "rw"}));
    else if (!spec.no_shared_memory)
        mounts.push_back(mount("/dev/shm", "tmpfs", "shm",
            {"nosuid", "noexec", "nodev", "mode=1777", fmt::format("size={}", spec.shm_size)}));
    if (spec.init)
        mounts.push_back(mount(init_path, "bind", host.init_program, {"bind", "ro"}));
    return mounts;
}

bool chooses_access(const std::vector<std::string>& options) {
    return std::any_of(options.begin(), options.end(),
        [](const std::string& each) { return each == "ro" || each == "rw" || each == "rro"; });
}

json::object convert(const container_mount& from) {
    if (!from.destination.starts_with('/'))
        throw compose::error(compose::error_kind::invalid,
            fmt::format("mount target \"{}\" is not an absolute path", from.destination));
    std::vector<std::string> options;
    if (from.type == container_mount::kind::tmpfs) {
        // Docker's, but for what its own options say otherwise.
        for (const std::string_view usual : {"nosuid", "nodev", "noexec"})
            if (std::find(from.options.begin(), from.options.end(), usual.substr(2)) == from.options.end())
                options.emplace_back(usual);
        options.insert(options.end(), from.options.begin(), from.options.end());
        if (from.read_only)
            options.emplace_back("ro");
        return mount(from.destination, "tmpfs", "tmpfs", options);
    }
    options.emplace_back(from.recursive ? "rbind" : "bind");
    options.push_back(from.propagation.empty() ? "rprivate" : from.propagation);
    options.insert(options.end(), from.options.begin(), from.options.end());
    if (!chooses_access(from.options))
        options.emplace_back(from.read_only ? "ro" : "rw");
    return mount(from.destination, "bind", from.source, options);
}

} // namespace

bool container_mount::is_prepared() const noexcept {
    // crun takes the "r" of rprivate for that of rbind, so `recursive` is ours to see to.
    const bool own = owners_inside || !recursive || !subpath.empty() || (read_only && read_only_below) ||
                     propagation.ends_with("shared");
    return type == kind::image || (type == kind::bind && own);
}

namespace {

std::ptrdiff_t depth(const std::string& path) {
    return std::count(path.begin(), path.end(), '/') - (path.ends_with('/') && path.size() > 1 ? 1 : 0);
}

} // namespace

void sort_mounts(std::vector<container_mount>& mounts) {
    std::stable_sort(
        mounts.begin(), mounts.end(), [](const container_mount& left, const container_mount& right) {
            return depth(left.destination) < depth(right.destination);
        });
}

json::array oci_mounts(const container_spec& spec, const oci_host& host) {
    json::array mounts = default_mounts(spec, host);
    std::vector<container_mount> own = spec.mounts;
    const auto file = [&](const std::string& source, const char* destination) {
        const bool taken = std::any_of(own.begin(), own.end(),
            [&](const container_mount& each) { return each.destination == destination; });
        if (source.empty() || taken)
            return;
        container_mount added;
        added.source = source;
        added.destination = destination;
        added.read_only = spec.read_only;
        own.push_back(std::move(added));
    };
    file(host.hosts, "/etc/hosts");
    file(host.resolv_conf, "/etc/resolv.conf");
    file(host.hostname, "/etc/hostname");
    sort_mounts(own);
    for (const container_mount& each : own) {
        // What the spec says about a default's place replaces it: /dev/shm with another size, /proc of the
        // host.
        mounts.erase(std::remove_if(mounts.begin(), mounts.end(),
                         [&](const json::value& other) {
                             return other.as_object().at("destination").as_string() == each.destination;
                         }),
            mounts.end());
        mounts.push_back(convert(each));
    }
    return mounts;
}

} // namespace engine
