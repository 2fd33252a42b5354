#include "engine/project/container_manager_state.hpp"

#include "compose/model/error.hpp"
#include "engine/project/mount_resolver.hpp"
#include "engine/system/file.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
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
    ++of.view.record.generation;
    of.view.record.health = {};
    save(of);
}

void container_manager::implementation::set_state(managed_container& of, run_state state) {
    of.view.state = state;
    changed.notify_all();
}

void container_manager::implementation::announce(
    const managed_container& of, std::string status, std::string detail, std::optional<int> code) {
    const container_record& record = of.view.record;
    event what;
    what.project = record.project;
    what.kind = "container";
    what.name = record.name;
    what.id = record.id;
    what.service = record.service;
    what.status = std::move(status);
    what.detail = std::move(detail);
    what.exit_code = code;
    parts.events.add(std::move(what));
}

task<launch> container_manager::implementation::prepare(std::string id) {
    const container_record record = at(id).view.record;
    const auto picture = parts.images.find(record.image);
    if (!picture)
        throw error(error_kind::not_found,
            fmt::format("start container \"{}\": its image \"{}\" is no longer here; pull or load it again",
                record.name, record.image_reference));
    const std::vector<std::filesystem::path> layers = parts.images.layer_folders(*picture);
    std::vector<container_mount> mounts = co_await resolve_mounts(parts, record, picture->config, layers);
    const attachment* network = parts.networks.find_attachment(id);
    std::string gateway;
    if (network != nullptr && !network->endpoints.empty())
        if (const network_record* first = parts.networks.find(network->endpoints.front().network))
            gateway = to_string(first->gateway);
    host_names_files host;
    if (record.service_definition().network_mode == "host") {
        auto read = [] {
            std::string name = read_file_if_there("/proc/sys/kernel/hostname", 4096).value_or("");
            name.resize(std::min(name.find('\n'), name.size()));
            return host_names_files{.name = std::move(name),
                .hosts = read_file_if_there("/etc/hosts", 1U << 20U).value_or(""),
                .resolv_conf = read_file_if_there("/etc/resolv.conf", 1U << 20U).value_or("")};
        };
        host = co_await blocking(parts.on.workers, read);
    }
    co_return build_launch({.record = record,
        .image = picture->config,
        .layers = layers,
        .mounts = std::move(mounts),
        .network = network,
        .host_gateway = gateway,
        .log = log_options_of(record.service_definition(), log_defaults),
        .host = std::move(host)});
}

task<std::vector<unique_fd>> container_manager::implementation::connect(std::string id, pid_t shim) {
    std::vector<unique_fd> held;
    if (parts.networks.find_attachment(id) == nullptr)
        co_return held;
    const std::vector<port_request> ports = ports_of(at(id).view.record.service_definition());
    std::vector<port_reservation> reserved;
    try {
        reserved = co_await parts.networks.publish(id, ports);
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
    for (port_reservation& each : reserved)
        held.push_back(std::move(each.socket));
    co_await parts.networks.plug(id, shim);
    co_return held;
}

/// One run, from a record that wants it to a process. What fails leaves the container as it was before.
task<> container_manager::implementation::run(std::string id) {
    set_state(at(id), run_state::starting);
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
    of.view.run = started;
    of.view.record.started = timestamp(started.started_at);
    of.view.record.boot = boot;
    save(of);
    set_state(of, run_state::running);
    watch_health(of);
}

/// What ran when the host went down is gone, and nobody saw how: the restart policy decides whether it comes
/// back.
void container_manager::implementation::settle_after_boot(managed_container& of) {
    container_record& record = of.view.record;
    if (record.started.empty() || record.boot == boot || record.one_off)
        return;
    constexpr int nobody_knows = 255;
    if (record.wanted)
        record.exit = last_exit{.code = nobody_knows, .oom = false, .finished = timestamp_now(), .error = {}};
    record.wanted = restart_at_boot(
        record.service_definition().restart, record.history, record.exit ? record.exit->code : nobody_knows);
    if (record.wanted)
        record.history = {};
    record.boot = boot; // once for each boot
    save(of);
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
            announce(probed, state.status() == health_status::healthy ? "Healthy" : "Unhealthy");
            changed.notify_all();
        });
}

task<> container_manager::implementation::on_exited(std::string id, exit_record exit) {
    if (!entries.contains(id))
        co_return;
    try {
        co_await parts.networks.unplug(id);
        co_await parts.volumes.release(id);
    } catch (const error& failure) {
        // It has ended all the same, and its restart or removal must not wait for what the host refuses.
        spdlog::error("container {}: {}", at(id).view.record.name, failure.what());
    }
    managed_container& of = at(id);
    container_record& record = of.view.record;
    of.health.reset();
    of.view.health.reset();
    of.view.run.reset();
    record.exit =
        last_exit{.code = exit.code, .oom = exit.oom, .finished = timestamp(exit.finished_at), .error = {}};
    restart_decision decision;
    if (record.wanted && !record.history.manually_stopped) {
        const double jitter = std::uniform_real_distribution<double>(0, 1)(random);
        decision = next_restart(record.service_definition().restart, record.history, exit, jitter);
    }
    record.wanted = decision.restart;
    save(of);
    set_state(of, decision.restart ? run_state::restarting : run_state::exited);
    announce(of, "Exited", decision.restart ? "restarting" : "", exit.code);
    if (decision.restart)
        schedule_restart(of, decision.delay);
    co_await parts.records.durable();
}

void container_manager::implementation::schedule_restart(
    managed_container& of, std::chrono::milliseconds delay) {
    spawn(parts.on.io, "restart " + of.view.record.name, restart_after(of.view.record.id, delay));
}

task<> container_manager::implementation::restart_after(std::string id, std::chrono::milliseconds delay) {
    managed_container& of = at(id);
    of.backoff = std::make_unique<boost::asio::steady_timer>(parts.on.io, delay);
    co_await of.backoff->async_wait(boost::asio::use_awaitable);
    co_await restart_now(id);
}

task<> container_manager::implementation::restart_now(std::string id) {
    if (!entries.contains(id) || !at(id).view.record.wanted || at(id).view.state != run_state::restarting)
        co_return;
    begin_run(at(id));
    std::string why;
    try {
        co_await run(id);
        co_return;
    } catch (const error& failure) {
        why = failure.what();
    }
    // A port or a mount that is not there now may be there later: the same backoff as for a run that failed.
    managed_container& of = at(id);
    container_record& record = of.view.record;
    exit_record failed{
        .generation = record.generation, .code = 128, .finished_at = std::chrono::system_clock::now()};
    restart_decision decision;
    if (record.wanted && !record.history.manually_stopped)
        decision = next_restart(record.service_definition().restart, record.history, failed);
    record.wanted = decision.restart;
    record.exit = last_exit{.code = 128, .oom = false, .finished = timestamp_now(), .error = why};
    save(of);
    set_state(of, decision.restart ? run_state::restarting : run_state::exited);
    announce(of, "Error", why);
    if (decision.restart)
        schedule_restart(of, decision.delay);
}

} // namespace engine
