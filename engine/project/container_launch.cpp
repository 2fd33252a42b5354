#include "engine/project/container_manager_state.hpp"

#include "compose/model/error.hpp"
#include "engine/project/launch_surroundings.hpp"
#include "engine/project/log_settings.hpp"
#include "engine/project/mount_resolver.hpp"
#include "engine/project/secret_mounts.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

// What a run of a container is made of: its mounts, the namespaces of others, its network and ports.
namespace engine {

using compose::error;
using compose::error_kind;

/// Whom service:NAME or container:NAME means, of `key` (network_mode, ipc, pid). Throws error{conflict} when
/// that does not run.
const managed_container& container_manager::implementation::joined_container(
    const container_record& of, std::string_view key, const std::string& mode) const {
    const std::string name = joined_by(mode);
    const bool by_service = mode.starts_with("service:");
    const managed_container* owner = nullptr;
    for (const auto& [id, each] : entries) {
        const container_record& record = each->view.record;
        const bool meant = by_service ? record.project == of.project && record.service == name &&
                                            record.is_own() && record.number == 1
                                      : record.name == name || (name.size() >= 12 && id.starts_with(name));
        if (meant)
            owner = each.get();
    }
    if (owner == nullptr || !owner->view.run)
        throw error(error_kind::conflict,
            fmt::format("start container \"{}\": its {} is that of {} \"{}\", which does not run; start that "
                        "first",
                of.name, key, by_service ? "service" : "container", name));
    return *owner;
}

/// The first process of the container whose pid namespace, or shared memory, it has; 0: of nobody.
pid_t container_manager::implementation::joined_process(
    const container_record& of, std::string_view key, const std::string& mode) const {
    if (joined_by(mode).empty())
        return 0;
    const managed_container& other = joined_container(of, key, mode);
    const std::string& offered = other.view.record.service_definition().ipc;
    if (key == "ipc" && offered != "shareable")
        throw error(error_kind::conflict,
            fmt::format("start container \"{}\": the shared memory of \"{}\" is its own; give that `ipc: "
                        "shareable`",
                of.name, other.view.record.name));
    return other.view.run->pid;
}

/// Its own and those that it has from others.
std::vector<wanted_mount> container_manager::implementation::mounts_wanted(
    const container_record& record, unsigned depth) const {
    constexpr unsigned deepest = 32;
    if (depth > deepest)
        throw error(error_kind::invalid,
            fmt::format("start container \"{}\": volumes_from leads back to itself", record.name));
    const auto picture = parts.images.find(record.image);
    if (!picture)
        throw error(error_kind::not_found,
            fmt::format(
                "start container \"{}\": the image \"{}\" of \"{}\" is no longer here; pull or load it "
                "again",
                record.name, record.image_reference, record.name));
    std::vector<wanted_mount> mounts = own_mounts(parts.volumes, record, picture->config);
    for (wanted_mount& each : mounts)
        each.layers = parts.images.layer_folders(*picture);
    std::vector<wanted_mount> taken_over;
    const std::vector<std::string>& sources = record.service_definition().volumes_from;
    for (auto entry = sources.rbegin(); entry != sources.rend(); ++entry) { // the last one wins
        const bool read_only = entry->ends_with(":ro");
        for (wanted_mount& each : mounts_wanted(mount_owner(record, *entry), depth + 1)) {
            if (each.how.type == compose::mount_type::tmpfs)
                continue; // of each its own
            each.how.read_only = each.how.read_only || read_only;
            taken_over.push_back(std::move(each));
        }
    }
    join_mounts(mounts, std::move(taken_over), record.service_definition());
    return mounts;
}

/// Whom SERVICE[:ro] or container:NAME[:ro] of volumes_from means.
const container_record& container_manager::implementation::mount_owner(
    const container_record& of, const std::string& entry) const {
    constexpr std::string_view by_name = "container:";
    const bool by_service = !entry.starts_with(by_name);
    const std::string rest = by_service ? entry : entry.substr(by_name.size());
    const std::string name = rest.substr(0, rest.find(':'));
    const container_record* owner = nullptr;
    for (const auto& [id, each] : entries) {
        const container_record& record = each->view.record;
        const bool meant = by_service
                               ? record.project == of.project && record.service == name && record.is_own()
                               : record.name == name || (name.size() >= 12 && id.starts_with(name));
        if (meant && record.id != of.id && (owner == nullptr || record.number < owner->number))
            owner = &record;
    }
    if (owner == nullptr)
        throw error(error_kind::not_found,
            fmt::format(
                "start container \"{}\": volumes_from: there is no container of {} \"{}\"; bring that "
                "up first",
                of.name, by_service ? "service" : "name", name));
    return *owner;
}

task<launch> container_manager::implementation::prepare(std::string id) {
    const container_record record = at(id).view.record;
    const auto picture = parts.images.find(record.image);
    if (!picture)
        throw error(error_kind::not_found,
            fmt::format("start container \"{}\": its image \"{}\" is no longer here; pull or load it again",
                record.name, record.image_reference));
    const std::vector<std::filesystem::path> layers = parts.images.layer_folders(*picture);
    std::vector<wanted_mount> wanted = mounts_wanted(record);
    resolved_mounts mounts = co_await resolve_mounts(parts, record, std::move(wanted));
    if (record.service_definition().use_api_socket)
        // Where clients of either API look for it.
        for (const std::string_view place : {"/run/composed/composed.sock", "/var/run/docker.sock"})
            mounts.mounts.push_back(
                {.source = runtime.api_socket(), .destination = std::string(place), .recursive = false});
    if (entries.contains(id)) {
        container_record& now = at(id).view.record;
        const container_record before = now;
        now.mounted_sources = mounts.mounted_sources;
        now.mounted_images = mounts.images;
        now.volumes = mounts.volumes;
        if (std::tie(now.mounted_sources, now.mounted_images, now.volumes) !=
            std::tie(before.mounted_sources, before.mounted_images, before.volumes))
            save(at(id));
    }
    contents_in_memory secrets = co_await contents_for(parts, record, mounts.mounts);
    // Names are those of the network that it is on.
    container_record named = record;
    std::filesystem::path joined;
    pid_t join_network = 0;
    while (joins_network(named.service_definition())) {
        const container_view& other =
            joined_container(named, "network", named.service_definition().network_mode).view;
        join_network = other.run->pid;
        named = container_record(other.record);
        joined = runtime.network_namespace(named.id);
    }
    const attachment* network = parts.networks.find_attachment(named.id);
    const std::string gateway = parts.networks.host_gateway(named.id);
    auto read = [of_host = named.service_definition().network_mode == "host"] {
        constexpr std::size_t most = 1U << 20U;
        host_names_files files;
        files.resolv_conf = read_file_if_there("/etc/resolv.conf", most).value_or("");
        if (!of_host)
            return files;
        files.name = read_file_if_there("/proc/sys/kernel/hostname", 4096).value_or("");
        files.name.resize(std::min(files.name.find('\n'), files.name.size()));
        files.hosts = read_file_if_there("/etc/hosts", most).value_or("");
        return files;
    };
    host_names_files host = co_await blocking(parts.on.workers, read);
    log_options log = log_options_of(record, picture->config, log_defaults);
    co_await reach_log_target(log.target, record);
    launch made = build_launch({.record = record,
        .named = named,
        .join = joined,
        .image = picture->config,
        .layers = layers,
        .mounts = mounts.mounts,
        .network = network,
        .host_gateway = gateway,
        .log = std::move(log),
        .secrets = std::move(secrets),
        .host = std::move(host),
        .join_pid = joined_process(record, "pid", record.service_definition().pid),
        .join_ipc = joined_process(record, "ipc", record.service_definition().ipc),
        .join_network = join_network});
    if (entries.contains(id) && at(id).client) {
        made.rows = at(id).client->rows;
        made.columns = at(id).client->columns;
    }
    co_return made;
}

/// Who of its number runs as well, while one takes the place of the other; empty: nobody.
std::string container_manager::implementation::counterpart_of(const container_record& of) const {
    for (const auto& [id, each] : entries) {
        const container_record& other = each->view.record;
        if (id != of.id && each->view.run && !other.one_off && other.project == of.project &&
            other.service == of.service && other.number == of.number)
            return id;
    }
    return {};
}

task<std::vector<held_socket>> container_manager::implementation::connect(std::string id, pid_t shim) {
    std::vector<held_socket> held;
    if (const auto client = at(id).client)
        client->streams = co_await runtime.attach(id, client->wants);
    if (parts.networks.find_attachment(id) == nullptr)
        co_return held;
    const container_record& record = at(id).view.record;
    const std::vector<port_request> ports =
        ports_of(record.service_definition(), parts.networks.default_host(id));
    std::vector<port_reservation> reserved;
    try {
        const std::string other = ports.empty() ? std::string() : counterpart_of(record);
        std::vector<unique_fd> lent;
        if (!other.empty())
            lent = co_await runtime.lend_ports(other);
        reserved = co_await parts.networks.publish(id, ports, other, std::move(lent));
    } catch (const error&) {
        // What holds it for a container of ours is a socket that shows nowhere.
        for (const port_request& each : ports)
            if (const auto holder = entries.find(parts.networks.holder_of(each));
                holder != entries.end() && holder->first != id)
                throw error(error_kind::conflict,
                    fmt::format("publish port \"{}:{}/{}\": the port is taken by container {}; stop that, or "
                                "publish another port",
                        to_string(each.host), each.first, to_string(each.protocol),
                        holder->second->view.record.name));
        throw;
    }
    for (port_reservation& each : reserved) {
        const auto target = parts.networks.forward_target(id, each.port);
        held.push_back({.socket = std::move(each.socket),
            .forward_to = target ? to_string(*target) : std::string(),
            .port = each.port.target,
            .udp = each.port.protocol == transport::udp});
    }
    if (parts.networks.is_held_back(id))
        runtime.accept_clients(id, false);
    co_await parts.networks.plug(id, shim);
    co_return held;
}

} // namespace engine
