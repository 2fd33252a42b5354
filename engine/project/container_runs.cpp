#include "engine/project/container_manager_state.hpp"

#include "compose/model/error.hpp"
#include "engine/project/container_life.hpp"
#include "engine/project/hooks.hpp"
#include "engine/project/launch_surroundings.hpp"
#include "engine/project/log_settings.hpp"
#include "engine/project/mount_resolver.hpp"
#include "engine/project/secret_mounts.hpp"
#include "engine/system/crash_point.hpp"
#include "engine/system/file.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <tuple>
#include <utility>

namespace engine {

using compose::error;
using compose::error_kind;

runtime_events container_manager::implementation::events() {
    return {
        .started = [this](const std::string& id, const start_record& started) { on_started(id, started); },
        .exited = [this](std::string id, exit_record exit) { return on_exited(std::move(id), exit); },
        .dns =
            [this](const std::string& id, dns_sockets sockets) {
                if (!entries.contains(id))
                    return;
                parts.networks.serve_dns(id, std::move(sockets.udp), std::move(sockets.tcp));
            }};
}

managed_container& container_manager::implementation::at(const std::string& id) {
    const auto found = entries.find(id);
    if (found == entries.end())
        throw error(error_kind::not_found,
            fmt::format("container \"{}\": there is none of that id", id.substr(0, 12)));
    return *found->second;
}

/// Intent first: a run is in the store before anything of it happens.
void container_manager::implementation::begin_run(managed_container& of) {
    run_begins(of.view.record);
    save(of);
}

void container_manager::implementation::set_state(managed_container& of, run_state state) {
    of.view.state = state;
    if (state == run_state::exited || state == run_state::created)
        tell_end(of);
    changed.notify_all();
}

void container_manager::implementation::announce(
    const managed_container& of, std::string status, std::string detail, std::optional<int> code) {
    event what = event_about(of.view.record);
    what.status = std::move(status);
    what.detail = std::move(detail);
    what.exit_code = code;
    parts.events.add(std::move(what));
}

void container_manager::implementation::happened(
    const managed_container& of, std::string action, std::map<std::string, std::string> attributes) {
    const container_record& record = of.view.record;
    for (const auto& [key, value] : record.service_definition().labels)
        attributes.emplace(key, value);
    attributes["image"] = record.image_reference;
    attributes["name"] = record.name;
    event what = event_about(record);
    what.action = std::move(action);
    what.attributes = std::move(attributes);
    parts.events.add(std::move(what));
}

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
    contents_in_memory secrets = co_await contents_for(parts, record);
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
    host_names_files host;
    if (named.service_definition().network_mode == "host") {
        auto read = [] {
            std::string name = read_file_if_there("/proc/sys/kernel/hostname", 4096).value_or("");
            name.resize(std::min(name.find('\n'), name.size()));
            return host_names_files{.name = std::move(name),
                .hosts = read_file_if_there("/etc/hosts", 1U << 20U).value_or(""),
                .resolv_conf = read_file_if_there("/etc/resolv.conf", 1U << 20U).value_or("")};
        };
        host = co_await blocking(parts.on.workers, read);
    }
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

/// One run, from a record that wants it to a process. What fails leaves the container as it was before.
task<> container_manager::implementation::run(std::string id) {
    set_state(at(id), run_state::starting);
    at(id).view.order = ++runs_begun;
    crash_point("start: it is wanted");
    std::exception_ptr failure;
    try {
        co_await parts.records.durable();
        launch what = co_await prepare(id);
        network_hook hook = [this, id](pid_t shim) { return connect(id, shim); };
        co_await runtime.start(std::move(what), std::move(hook));
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure)
        co_return;
    co_await parts.networks.unplug(id);
    co_await parts.volumes.release(id);
    managed_container& failed = at(id);
    set_state(failed, failed.view.record.started.empty() ? run_state::created : run_state::exited);
    std::rethrow_exception(failure);
}

void container_manager::implementation::on_started(const std::string& id, const start_record& started) {
    if (!entries.contains(id))
        return; // recover() ends it
    managed_container& of = at(id);
    crash_point("start: it runs");
    parts.networks.adopt(id, started.shim);
    of.until_it_runs = false;
    of.view.run = started;
    run_began(of.view.record, started.started_at, boot);
    save(of);
    set_state(of, run_state::running);
    happened(of, "start");
    watch_health(of);
    reattach_guests(of);
}

/// What is being started can be neither stopped nor removed: waits until it runs or has failed. False when it
/// was removed meanwhile. Throws error{conflict} when it takes longer than any start does.
task<bool> container_manager::implementation::end_starting(std::string id) {
    constexpr auto limit = std::chrono::seconds(60);
    const auto until = std::chrono::steady_clock::now() + limit;
    while (entries.contains(id) && at(id).view.state == run_state::starting) {
        const std::chrono::nanoseconds left = until - std::chrono::steady_clock::now();
        if (left <= std::chrono::nanoseconds(0))
            throw error(error_kind::conflict,
                fmt::format("container \"{}\": its start does not come to an end; its shim is stuck",
                    at(id).view.record.name));
        co_await changed.wait_for(left);
    }
    co_return entries.contains(id);
}

void container_manager::implementation::watch_health(managed_container& of) {
    const container_record& record = of.view.record;
    const auto picture = parts.images.find(record.image);
    const auto config = picture ? health_of(record.service_definition(), picture->config) : std::nullopt;
    of.health.reset();
    of.view.health.reset();
    if (!config || !of.view.run)
        return;
    of.view.health.emplace(*config, record.health);
    of.health.emplace(parts.on, runtime, record.id, *of.view.health, of.view.run->started_at,
        [this, id = record.id](const health_state& state, bool status_changed) {
            managed_container& probed = at(id);
            probed.view.health = state;
            if (probed.view.record.health != state.memory()) {
                probed.view.record.health = state.memory();
                save(probed);
            }
            if (!status_changed)
                return;
            happened(probed, fmt::format("health_status: {}", to_string(state.status())));
            changed.notify_all();
            if (is_ill(probed.view.record))
                spawn(parts.on.io, "end " + probed.view.record.name,
                    end_unhealthy(id, probed.view.record.generation));
        });
    if (is_ill(of.view.record)) // and a former daemon died over it
        spawn(parts.on.io, "end " + record.name, end_unhealthy(record.id, record.generation));
}

task<> container_manager::implementation::end_unhealthy(std::string id, std::uint64_t generation) {
    if (!entries.contains(id) || at(id).view.record.generation != generation || !is_ill(at(id).view.record))
        co_return;
    managed_container& of = at(id);
    restart_history history = of.view.record.history; // a copy: nothing has ended yet
    const bool again =
        next_restart_of_unhealthy(of.view.record.service_definition().restart, history, {}).restart;
    announce(of, "Repaired",
        again ? "it was unhealthy: it is ended and started again"
              : "it was unhealthy: it is ended, and stays so, as its restarts are used up");
    co_await end_run(id, grace_of(of.view.record));
}

task<> container_manager::implementation::run_post_start(std::string id) {
    constexpr auto limit = std::chrono::hours(1); // an `up` that another takes over from waits for it
    if (!entries.contains(id))
        co_return;
    std::vector<compose::hook> hooks = at(id).view.record.service_definition().post_start;
    if (!hooks.empty())
        co_await run_hooks(parts.on, runtime, id, "post_start", std::move(hooks), limit);
}

/// What it asks for before its stop signal, as long as it would have after that. Whatever comes of it, it
/// ends.
task<> container_manager::implementation::run_pre_stop(std::string id, std::chrono::nanoseconds grace) {
    constexpr std::chrono::nanoseconds longest = std::chrono::hours(24); // of who may take for ever
    std::vector<compose::hook> hooks = at(id).view.record.service_definition().pre_stop;
    if (hooks.empty() || grace == std::chrono::nanoseconds(0))
        co_return;
    std::string why;
    try {
        co_await run_hooks(
            parts.on, runtime, id, "pre_stop", std::move(hooks), grace.count() < 0 ? longest : grace);
    } catch (const error& failure) {
        why = failure.what();
    }
    if (!why.empty() && entries.contains(id))
        announce(at(id), "Warning", why);
}

task<> container_manager::implementation::end_run(std::string id, std::chrono::nanoseconds grace) {
    if (!at(id).view.run)
        co_return;
    co_await run_pre_stop(id, grace);
    if (!entries.contains(id) || !at(id).view.run)
        co_return;
    managed_container& of = at(id);
    const container_record& record = of.view.record;
    const auto picture = parts.images.find(record.image);
    const int signal = picture ? stop_signal_of(record.service_definition(), picture->config) : SIGTERM;
    happened(of, "kill", {{"signal", std::to_string(signal)}});
    co_await runtime.stop(id, signal, grace);
    if (entries.contains(id))
        happened(at(id), "stop");
}

task<> container_manager::implementation::on_exited(std::string id, exit_record exit) {
    if (!entries.contains(id))
        co_return;
    crash_point("end: it has ended");
    try {
        co_await parts.networks.unplug(id);
        co_await parts.volumes.release(id);
    } catch (const error& failure) {
        // It has ended all the same, and its restart or removal must not wait for what the host refuses.
        spdlog::error("container {}: {}", at(id).view.record.name, failure.what());
    }
    managed_container& of = at(id);
    container_record& record = of.view.record;
    const bool awaited = of.view.state == run_state::stopping; // by who has ended it, and goes on from there
    const bool ours = record.wanted && (awaited || record.comes_again || was_decided(record, exit));
    const end_cause cause = !ours ? end_cause::itself : closed ? end_cause::shutdown : end_cause::restart;
    of.health.reset();
    of.view.health.reset();
    of.view.run.reset();
    restart_decision decision =
        run_ended(record, exit, cause, std::uniform_real_distribution<double>(0, 1)(random));
    // A former daemon was about to start it again. What recover() finds so is due, and its caller's.
    if (cause == end_cause::restart && !awaited && recovered) {
        decision.restart = true;
        of.until_it_runs = true;
    }
    save(of);
    set_state(of, decision.restart ? run_state::restarting : run_state::exited);
    // The delay counts from the end of the run, not from when it was heard of.
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now() - exit.finished_at);
    decision.delay -= std::clamp(since, std::chrono::milliseconds(0), decision.delay);
    announce(of, "Exited", decision.restart ? "restarting" : "", exit.code);
    if (record.exit->oom)
        happened(of, "oom");
    happened(of, "die", {{"exitCode", std::to_string(exit.code)}});
    if (exit.lost)
        announce(of, "Repaired",
            fmt::format("its shim had been killed: the container was ended{}",
                decision.restart ? " and is started again" : ""));
    if (decision.restart)
        schedule_restart(of, decision.delay);
    // One of `run` or of a schedule never runs again: its addresses are others' to have, and no network waits
    // for it.
    if (record.one_off && !decision.restart)
        parts.networks.release(id);
    crash_point("end: what follows is decided");
    co_await parts.records.durable();
    crash_point("end: what follows is durable");
    if (entries.contains(id) && at(id).view.record.auto_remove && !decision.restart)
        spawn(parts.on.io, "remove container " + id.substr(0, 12), remove_with_volumes(id));
}

void container_manager::implementation::schedule_restart(
    managed_container& of, std::chrono::milliseconds delay) {
    spawn(parts.on.io, "restart " + of.view.record.name, restart_after(of.view.record.id, delay));
}

/// The new run is on its way to the disk some time before it begins, so that it need not wait for that.
task<> container_manager::implementation::restart_after(std::string id, std::chrono::milliseconds delay) {
    constexpr std::chrono::milliseconds ahead{50};
    at(id).backoff = std::make_unique<boost::asio::steady_timer>(parts.on.io, delay - std::min(delay, ahead));
    co_await at(id).backoff->async_wait(boost::asio::use_awaitable);
    if (!is_to_restart(id))
        co_return;
    begin_run(at(id));
    at(id).backoff->expires_after(std::min(delay, ahead));
    co_await at(id).backoff->async_wait(boost::asio::use_awaitable);
    if (is_to_restart(id))
        co_await restart_now(id);
}

bool container_manager::implementation::is_to_restart(const std::string& id) const {
    const auto found = entries.find(id);
    return !closed && found != entries.end() && found->second->view.record.wanted &&
           found->second->view.state == run_state::restarting;
}

/// Nobody is there to tell of one that fails but those who watch the events.
task<> container_manager::implementation::hooks_after_restart(std::string id) {
    std::string why;
    try {
        co_await run_post_start(id);
    } catch (const error& failure) {
        why = failure.what();
    }
    if (!why.empty() && entries.contains(id))
        announce(at(id), "Warning", why);
}

task<> container_manager::implementation::restart_now(std::string id) {
    std::string why;
    try {
        co_await run(id);
        if (entries.contains(id))
            announce(at(id), "Started", "restarted by itself");
        co_await hooks_after_restart(id);
        if (restarted && entries.contains(id))
            restarted(at(id).view.record);
        co_return;
    } catch (const error& failure) {
        why = failure.what();
    }
    start_failed(at(id), why);
}

void container_manager::implementation::start_failed(managed_container& of, const std::string& why) {
    const restart_decision decision =
        could_not_start(of.view.record, why, std::chrono::system_clock::now(), of.until_it_runs);
    save(of);
    set_state(of, decision.restart ? run_state::restarting : run_state::exited);
    announce(of, "Error", why);
    if (decision.restart)
        schedule_restart(of, decision.delay);
}

} // namespace engine
