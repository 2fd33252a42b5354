#include "engine/project/container_manager_state.hpp"

#include "compose/model/error.hpp"
#include "engine/project/container_life.hpp"
#include "engine/system/crash_point.hpp"

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
    if (of.view.record.hooks_due > 0)
        spawn(parts.on.io, "post_start of " + of.view.record.name,
            run_post_start(id, of.view.record.generation));
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

task<> container_manager::implementation::restart_now(std::string id) {
    std::string why;
    try {
        co_await run(id);
        if (entries.contains(id))
            announce(at(id), "Started", "restarted by itself");
        co_await post_start_over(id);
        if (entries.contains(id))
            warn_of_hook(at(id));
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
