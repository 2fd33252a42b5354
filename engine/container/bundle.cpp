#include "engine/container/bundle.hpp"

#include "engine/container/capabilities.hpp"
#include "engine/container/cdi.hpp"
#include "engine/container/devices.hpp"
#include "engine/container/layered_files.hpp"
#include "engine/container/shim_link.hpp"
#include "engine/shim/protocol.hpp"
#include "engine/shim/state_files.hpp"
#include "engine/system/crash_point.hpp"
#include "engine/system/file.hpp"

#include <boost/json.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <string_view>
#include <thread>

namespace engine {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr auto runtime_limit = std::chrono::seconds(10); // for `delete`
void make_folder(const fs::path& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
        throw_errno("create folder", path.native());
}

/// With what its devices of the Container Device Interface need.
launch with_cdi_devices(const runtime_host& host, launch what) {
    container_spec& spec = what.spec;
    if (spec.cdi_devices.empty() && spec.cdi_requests.empty())
        return what;
    cdi_registry known(host.options.cdi_folders);
    for (const compose::device_request& each : spec.cdi_requests)
        for (std::string& name : known.names_of(each))
            spec.cdi_devices.push_back(std::move(name));
    for (const std::string& name : spec.cdi_devices)
        known.add(spec, name);
    return what;
}

/// Nothing where its ids are the host's.
std::optional<user_id_range> ids_of(const runtime_host& host, const launch& what) {
    return what.spec.host_users ? std::nullopt : host.options.user_ids;
}

/// Whose user namespace it is in, as that owns the namespaces that it joins; 0: its own.
pid_t owner_of_users(const launch& what) {
    return what.join_pid != 0 ? what.join_pid : what.join_ipc != 0 ? what.join_ipc : what.join_network;
}

/// With the host's ids a mount is as it is.
launch with_owners(const runtime_host& host, launch what) {
    const bool own = ids_of(host, what).has_value();
    for (container_mount& each : what.spec.mounts)
        each.owners_inside = each.owners_inside && own;
    const pid_t owner = own ? owner_of_users(what) : 0;
    std::error_code ignored;
    if (owner != 0 && fs::read_symlink(fmt::format("/proc/{}/ns/user", owner), ignored) ==
                          fs::read_symlink("/proc/self/ns/user", ignored))
        throw compose::error(compose::error_kind::conflict,
            fmt::format(
                "container \"{}\" joins one with the host's users: give it `userns_mode: host` as well",
                what.name));
    return what;
}

void check_user(const std::optional<user_id_range>& ids, const resolved_user& user) {
    if (!ids)
        return;
    for (const std::uint32_t group : user.groups)
        if (group >= ids->count)
            throw compose::error(compose::error_kind::invalid,
                fmt::format(
                    "group {} is beyond the {} ids that containers have here (userns_remap); choose a "
                    "lower one, or set userns_mode: host",
                    group, ids->count));
    if (user.uid < ids->count && user.gid < ids->count)
        return;
    throw compose::error(
        compose::error_kind::invalid, fmt::format("user {}:{} is beyond the {} ids that containers have here "
                                                  "(userns_remap); choose lower ones, or set "
                                                  "userns_mode: host",
                                          user.uid, user.gid, ids->count));
}

resolved_user user_of(const launch& what, const fs::path& upper) {
    std::vector<fs::path> folders{upper};
    folders.insert(folders.end(), what.layers.begin(), what.layers.end());
    const std::string passwd = read_layered_file(folders, "etc/passwd").value_or("");
    const std::string group = read_layered_file(folders, "etc/group").value_or("");
    return resolve_user(what.spec.user, what.spec.group_add, passwd, group);
}

void make_state_folder(const fs::path& state, const launch& what) {
    make_folder(state, 0711);
    make_folder(state / "upper", 0755);
    make_folder(state / "work", 0700);
    if (what.layers.empty())
        make_folder(state / "empty", 0755);
    if (!what.hosts.empty())
        write_file(state / "hosts", what.hosts);
    if (!what.resolv_conf.empty())
        write_file(state / "resolv.conf", what.resolv_conf);
    if (!what.spec.hostname.empty())
        write_file(state / "hostname", what.spec.hostname + "\n");
}

shim_mount prepared(const container_mount& from) {
    shim_mount made;
    made.name = from.name.empty() ? fmt::format("bind source \"{}\"", from.source) : from.name;
    if (!from.subpath.empty())
        made.name += fmt::format(": subpath \"{}\"", from.subpath);
    made.subpath = from.subpath;
    made.recursive = from.recursive;
    made.read_only = from.type == container_mount::kind::image || (from.read_only && from.read_only_below);
    made.read_only_or_fail = from.read_only_or_fail;
    made.shared = from.propagation.ends_with("shared");
    if (from.type != container_mount::kind::image)
        made.source = from.source;
    else if (from.layers.size() == 1) // overlayfs takes two at least
        made.source = from.layers.front();
    else
        for (const fs::path& layer : from.layers)
            made.layers.push_back(layer);
    return made;
}

/// As the OCI runtime finds them: those that the shim has mounted are below the run folder.
container_spec with_prepared_mounts(container_spec spec, const fs::path& run) {
    std::size_t index = 0;
    for (container_mount& each : spec.mounts)
        if (each.is_prepared()) {
            each.source = run / run_file::mounts / std::to_string(index++);
            each.read_only = each.read_only || each.type == container_mount::kind::image;
            each.type = container_mount::kind::bind;
        }
    return spec;
}

shim_setup setup_for(const runtime_host& host, const launch& what) {
    const fs::path state = host.state_folder(what.id);
    shim_setup setup;
    setup.id = what.id;
    setup.generation = static_cast<std::int64_t>(what.generation);
    setup.network = static_cast<shim_network>(what.network);
    setup.join_namespace = what.join_namespace;
    setup.runtime = host.runtime_of(what.id);
    setup.runtime_root = host.oci_root();
    // crun 1.8 refuses a hybrid host whose v2 hierarchy has controllers, and needs nothing of it.
    setup.hide_unified = is_crun(setup.runtime) && host.abilities.cgroups == cgroup_mode::hybrid;
    for (const fs::path& layer : what.layers)
        setup.layers.push_back(layer);
    if (what.layers.empty())
        setup.layers.push_back(state / "empty");
    setup.upper = state / "upper";
    setup.work = state / "work";
    setup.tty = what.spec.tty;
    setup.stdin_open = what.spec.stdin_open;
    setup.stdin_once = what.spec.stdin_once;
    setup.rows = what.rows;
    setup.columns = what.columns;
    if (!what.log.discard)
        setup.log = state / (what.id + "-json.log");
    setup.log_max_size = static_cast<std::int64_t>(what.log.max_size);
    setup.log_max_files = what.log.max_files;
    setup.log_compress = what.log.compress;
    setup.log_attributes = what.log.attributes;
    const log_target& target = what.log.target;
    setup.log_target = {.kind = static_cast<std::int64_t>(target.type),
        .transport = static_cast<std::int64_t>(target.way),
        .place = target.place,
        .port = target.port,
        .facility = target.facility,
        .host_name = target.host_name,
        .tag = target.tag,
        .fields = target.fields};
    setup.oom_file = host.cgroup(what.id).oom_file();
    if (!what.hosts.empty())
        setup.mount_files.emplace_back("etc/hosts");
    if (!what.resolv_conf.empty())
        setup.mount_files.emplace_back("etc/resolv.conf");
    if (!what.spec.hostname.empty())
        setup.mount_files.emplace_back("etc/hostname");
    for (const container_mount& each : what.spec.mounts) {
        if (!each.is_prepared())
            continue;
        if (each.owners_inside)
            setup.mapped_mounts.push_back(static_cast<std::int64_t>(setup.mounts.size()));
        setup.mounts.push_back(prepared(each));
    }
    if (const auto ids = ids_of(host, what)) {
        setup.first_user_id = ids->first;
        setup.user_ids = ids->count;
        setup.user_namespace_of = owner_of_users(what);
    }
    std::int64_t offset = 0;
    for (const secret_mount& each : what.secrets.mounts) {
        setup.secrets.push_back({.target = each.destination,
            .offset = offset,
            .size = static_cast<std::int64_t>(each.size),
            .uid = each.uid,
            .gid = each.gid,
            .mode = each.mode});
        offset += static_cast<std::int64_t>(each.size);
    }
    setup.shared_memory_of = what.join_ipc;
    return setup;
}
static_assert(static_cast<int>(network_kind::own) == static_cast<int>(shim_network::own));
static_assert(static_cast<int>(network_kind::none) == static_cast<int>(shim_network::none));
static_assert(static_cast<int>(network_kind::join) == static_cast<int>(shim_network::join));
static_assert(static_cast<int>(network_kind::host) == static_cast<int>(shim_network::host));

/// The filter of the service's own profile, or of the host's.
std::shared_ptr<const json::value> seccomp_of(
    const runtime_host& host, const container_spec& spec, const std::vector<std::string>& capabilities) {
    if (spec.seccomp_profile.empty())
        return host.seccomp.for_capabilities(capabilities);
    return std::make_shared<const json::value>(
        json::parse(convert_seccomp_profile(spec.seccomp_profile, capabilities)));
}

std::string config_for(const runtime_host& host, const launch& what, const resolved_user& user, pid_t shim) {
    const fs::path state = host.state_folder(what.id);
    const std::vector<std::string> capabilities = capabilities_of(what.spec);
    const auto seccomp = seccomp_of(host, what.spec, capabilities);
    oci_host values;
    values.cgroup = "/" + host.cgroup_path(what.id);
    values.cgroups = host.abilities.cgroups;
    if (what.network != network_kind::host)
        values.network_namespace = fmt::format("/proc/{}/ns/net", shim);
    const auto namespace_of = [](pid_t pid, const char* kind) {
        return pid == 0 ? std::string() : fmt::format("/proc/{}/ns/{}", pid, kind);
    };
    values.pid_namespace = namespace_of(what.join_pid, "pid");
    values.ipc_namespace = namespace_of(what.join_ipc, "ipc");
    if (what.join_ipc != 0)
        values.shared_memory = host.run_folder(what.id) / run_file::shared_memory;
    if (const auto ids = ids_of(host, what)) {
        values.user_namespace = host.run_folder(what.id) / run_file::user_namespace;
        values.user_ids = *ids;
    }
    values.rows = what.rows;
    values.columns = what.columns;
    values.own_network = what.network == network_kind::own || what.network == network_kind::none;
    values.init_program = host.options.shim_program;
    if (!what.hosts.empty())
        values.hosts = state / "hosts";
    if (!what.resolv_conf.empty())
        values.resolv_conf = state / "resolv.conf";
    if (!what.spec.hostname.empty())
        values.hostname = state / "hostname";
    values.seccomp = seccomp.get();
    if (is_crun(host.runtime_of(what.id)) && what.spec.seccomp_profile.empty())
        values.compiled_seccomp = host.seccomp.compiled(capabilities);
    container_spec spec = with_prepared_mounts(what.spec, host.run_folder(what.id));
    for (const std::string& note : fit_to_host(spec, host.abilities)) // `up` has told the person
        spdlog::debug("container {}: {}", what.name, note);
    values.devices = devices_of(spec);
    values.block_devices = block_devices_of(spec.block_io);
    for (std::size_t at = 0; at < what.secrets.mounts.size(); ++at)
        spec.mounts.push_back({.type = container_mount::kind::bind,
            .source = host.run_folder(what.id) / run_file::secrets / std::to_string(at),
            .destination = what.secrets.mounts[at].destination,
            .read_only = true,
            .recursive = false,
            .options = {"nosuid", "nodev", "noexec"}});
    return render_oci_config(spec, user, values);
}

// A shim whose start went wrong: without a daemon and without a container it would leave by itself, but not
// at once.
void end_shim(const child_process& shim) {
    send_signal(shim.handle, SIGKILL);
    while (!reap(shim))
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

} // namespace

std::vector<std::string> capabilities_of(const container_spec& spec) {
    return effective_capabilities(spec.cap_add, spec.cap_drop, spec.privileged, grantable_capabilities());
}

bool learns_seccomp(const runtime_host& host, const launch& what) {
    const container_spec& spec = what.spec;
    return is_crun(host.oci_runtime) && what.oci_runtime.empty() && host.seccomp.present() &&
           spec.seccomp_profile.empty() && !spec.privileged && !spec.seccomp_unconfined;
}

prepared_run prepare_run(const runtime_host& host, const launch& given) {
    const launch what = with_owners(host, with_cdi_devices(host, given));
    const fs::path run = host.run_folder(what.id);
    const fs::path state = host.state_folder(what.id);
    make_state_folder(state, what);
    crash_point("start: its state folder is made");
    const resolved_user user = user_of(what, state / "upper");
    check_user(ids_of(host, what), user);
    if (::mkdir(run.c_str(), 0700) != 0)
        throw_errno("create folder", run.native());
    crash_point("start: its run folder is made");
    prepared_run prepared;
    try {
        let_pass(run, ids_of(host, what));
        make_folder(run / run_file::root, 0755);
        if (!what.cgroup_parent.empty())
            write_file(run / run_file::cgroup, fmt::format("{}/{}", what.cgroup_parent, what.id));
        if (!what.oci_runtime.empty())
            write_file(run / run_file::runtime, find_runtime(what.oci_runtime).native());
        if (!what.secrets.mounts.empty())
            make_folder(run / run_file::secrets, 0700);
        auto [ours, theirs] = shim_socket_pair();
        prepared.shim = start_program({.program = host.options.shim_program,
            .arguments = {what.id},
            .folder = run,
            .descriptor = theirs.get(),
            .session = true});
        prepared.socket = std::move(ours);
        crash_point("start: its shim runs");
        const message setup{
            .type = message_type::setup, .session = 0, .payload = encode(setup_for(host, what))};
        const int contents = what.secrets.file ? what.secrets.file->get() : -1;
        if (!send_message(prepared.socket.get(), setup, &contents, what.secrets.file ? 1 : 0))
            throw_errno("send to shim of", what.name);
        write_file(run / run_file::config, config_for(host, what, user, prepared.shim.pid), 0600);
        crash_point("start: its bundle is written");
    } catch (...) {
        if (prepared.shim.handle)
            end_shim(prepared.shim);
        fs::remove_all(run);
        throw;
    }
    return prepared;
}

void clear_run(const runtime_host& host, const std::string& id) {
    const fs::path run = host.run_folder(id);
    const container_cgroup cgroup = host.cgroup(id);
    crash_point("end: before its run is cleared away");
    bool empty = cgroup.destroy();
    std::error_code ignored;
    if (fs::exists(host.oci_root() / id, ignored)) {
        const child_process command = start_program({.program = host.runtime_of(id),
            .arguments = {"--root", host.oci_root(), "delete", "--force", id},
            .folder = {}});
        const auto limit = std::chrono::steady_clock::now() + runtime_limit;
        while (!reap(command)) {
            if (std::chrono::steady_clock::now() > limit)
                send_signal(command.handle, SIGKILL);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        fs::remove_all(host.oci_root() / id, ignored);
        empty = cgroup.destroy();
    }
    if (!empty)
        throw compose::error(compose::error_kind::conflict,
            fmt::format("processes of container \"{}\" do not end: they are stuck in the kernel", id));
    crash_point("end: before its run folder goes");
    fs::remove_all(run);
    crash_point("end: its run is cleared away");
}

std::optional<exit_record> read_exit_record(const runtime_host& host, const std::string& id) {
    const auto text = read_file_if_there(host.run_folder(id) / run_file::exit, 4096);
    if (!text)
        return std::nullopt;
    try {
        const json::value line = json::parse(*text);
        exit_record record;
        record.generation = line.at("generation").to_number<std::uint64_t>();
        record.code = line.at("code").to_number<int>();
        record.signal = line.at("signal").to_number<int>();
        record.oom = line.at("oom").as_bool();
        record.finished_at = std::chrono::system_clock::time_point(
            std::chrono::nanoseconds(line.at("finished_at").to_number<std::int64_t>()));
        record.ran_for = std::chrono::nanoseconds(line.at("ran_for").to_number<std::int64_t>());
        return record;
    } catch (const std::exception& failure) {
        spdlog::error("exit record of container \"{}\" is not readable: {}", id, failure.what());
        return std::nullopt;
    }
}

std::optional<start_record> read_start_record(const runtime_host& host, const std::string& id) {
    const auto text = read_file_if_there(host.run_folder(id) / run_file::init, 4096);
    if (!text)
        return std::nullopt;
    boost::system::error_code failure;
    const json::value line = json::parse(*text, failure);
    start_record record;
    if (failure || !line.is_object())
        return record; // it ran, that much is certain
    record.generation = line.at("generation").to_number<std::uint64_t>(failure);
    record.pid = line.at("pid").to_number<pid_t>(failure);
    record.started_at = std::chrono::system_clock::time_point(
        std::chrono::nanoseconds(line.at("started_at").to_number<std::int64_t>(failure)));
    return record;
}

compose::error runtime_failure(const fs::path& log, const std::string& what, std::int64_t exit_code) {
    std::string reason = fmt::format("the OCI runtime ended with code {}", exit_code);
    std::string_view rest;
    const std::string text = read_file_if_there(log, 1U << 20U).value_or("");
    for (rest = text; !rest.empty();) {
        const std::size_t end = rest.find('\n');
        boost::system::error_code failure;
        const std::string_view line = rest.substr(0, end);
        const json::value entry = json::parse({line.data(), line.size()}, failure);
        if (const json::object* object = failure ? nullptr : entry.if_object())
            if (const json::value* said = object->if_contains("msg"); said != nullptr && said->is_string())
                reason = said->as_string();
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    if (reason.find("/proc/sys/") != std::string::npos)
        reason = "sysctls: " + reason;
    const auto has = [&](std::string_view part) { return reason.find(part) != std::string::npos; };
    compose::error_kind kind = compose::error_kind::internal;
    if (has("not found in $PATH") || has("executable file") || has("exec: \"") || has("open executable"))
        kind = has("ermission denied") || has("not permitted") ? compose::error_kind::invalid
                                                               : compose::error_kind::not_found;
    else if (has("ermission denied") || has("exec format error") || has("Exec format error") ||
             has("not a directory") || has("chdir") || has("Not a directory"))
        kind = compose::error_kind::invalid;
    return {kind, fmt::format("{}: {}", what, reason)};
}

} // namespace engine
