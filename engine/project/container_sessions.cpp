#include "engine/project/container_life.hpp"
#include "engine/project/container_manager_state.hpp"
#include "engine/project/definitions.hpp"
#include "engine/project/plan_steps.hpp"
#include "engine/system/crash_point.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

// What is done to one container at a time: pausing, attaching, waiting for its end, removing.
namespace engine {

using compose::error;
using compose::error_kind;

task<stream_set> container_manager::start_attached(
    std::string id, attach_request what, std::uint16_t rows, std::uint16_t columns) {
    implementation& self = *implementation_;
    managed_container& of = self.at(id);
    if (is_up(of.view.state) || of.view.run)
        throw error(error_kind::conflict,
            fmt::format("start container \"{}\": it runs already", of.view.record.name));
    const auto client = std::make_shared<managed_container::first_client>();
    client->wants = what;
    client->rows = rows;
    client->columns = columns;
    of.client = client;
    std::exception_ptr failure;
    try {
        co_await start(id);
    } catch (...) {
        failure = std::current_exception();
    }
    if (self.entries.contains(id))
        self.at(id).client.reset();
    if (failure)
        std::rethrow_exception(failure);
    co_return std::move(client->streams);
}

task<> container_manager::pause(std::string id, bool frozen) {
    implementation& self = *implementation_;
    managed_container& of = self.at(id);
    const run_state before = frozen ? run_state::running : run_state::paused;
    const run_state after = frozen ? run_state::paused : run_state::running;
    if (of.view.state != before || !of.view.run)
        throw error(error_kind::conflict,
            fmt::format("container \"{}\" {}", of.view.record.name,
                of.view.state == after ? (frozen ? "is already paused" : "is not paused")
                                       : "is not running"));
    of.view.record.paused = frozen;
    self.save(of);
    of.health.reset(); // a probe would be frozen with it
    co_await self.parts.records.durable();
    crash_point("pause: it is durable");
    std::exception_ptr failure;
    try {
        co_await self.runtime.pause(id, frozen);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!self.entries.contains(id) || self.at(id).view.state != before) // it has ended meanwhile
        co_return;
    managed_container& now = self.at(id);
    if (failure) {
        now.view.record.paused = !frozen;
        self.save(now);
    } else {
        self.set_state(now, after);
        self.announce(now, frozen ? "Paused" : "Unpaused");
        self.happened(now, frozen ? "pause" : "unpause");
    }
    if (now.view.state == run_state::running)
        self.watch_health(now);
    if (failure)
        std::rethrow_exception(failure);
}

/// What is durable decides: a daemon may have died between that and the freezer.
task<> container_manager::implementation::recover_pause(std::string id) {
    std::string problem;
    try {
        const bool frozen = co_await runtime.is_frozen(id);
        const bool wanted = at(id).view.record.paused;
        if (frozen || wanted)
            co_await runtime.pause(id, wanted);
        if (wanted && at(id).view.state == run_state::running)
            set_state(at(id), run_state::paused);
    } catch (const error& failure) {
        problem = failure.what();
    }
    if (!problem.empty())
        spdlog::warn("container {}: {}", id.substr(0, 12), problem);
}

/// Who ran it has gone with the former daemon.
void container_manager::implementation::recover_one_off(managed_container& of) {
    if (is_due(of.view)) {
        of.view.record.wanted = false;
        save(of);
    }
    if (of.view.record.auto_remove)
        spawn(parts.on.io, "remove container " + of.view.record.name, remove_with_volumes(of.view.record.id));
}

void container_manager::tell(
    const std::string& id, std::string action, std::map<std::string, std::string> attributes) {
    implementation& self = *implementation_;
    if (self.entries.contains(id))
        self.happened(self.at(id), std::move(action), std::move(attributes));
}

std::shared_ptr<run_end> container_manager::watch_end(const std::string& id) {
    implementation& self = *implementation_;
    managed_container& of = self.at(id);
    if (!of.end)
        of.end = std::make_shared<run_end>(self.parts.on.io);
    return of.end;
}

void container_manager::implementation::tell_end(managed_container& of) {
    if (!of.end)
        return;
    const auto end = std::exchange(of.end, nullptr);
    end->done = true;
    end->exit = of.view.record.exit.value_or(last_exit{});
    end->changed.notify_all();
}

void container_manager::implementation::remember_exit(const container_record& of) {
    constexpr std::size_t most = 100;
    if (!of.exit)
        return;
    removed.emplace_back(of.id, *of.exit);
    if (removed.size() > most)
        removed.pop_front();
}

std::optional<last_exit> container_manager::exit_of_removed(const std::string& id) const {
    for (const auto& [removed, exit] : implementation_->removed)
        if (removed == id)
            return exit;
    return std::nullopt;
}

std::set<std::string> container_manager::implementation::volumes_in_use() const {
    std::set<std::string> names;
    for (const auto& [id, each] : entries) {
        const bool is_over = each->view.record.one_off && each->view.state == run_state::exited;
        for (const std::string& name : volumes_of(each->view.record)) {
            const volume_record* there = parts.volumes.find(name);
            const bool has_name = there == nullptr || !is_anonymous(there->definition);
            if (has_name || !is_over)
                names.insert(name);
        }
    }
    return names;
}

std::string instance_of(const container_record& record) {
    return fmt::format("{}-{}", record.service, record.number);
}

task<> container_manager::keep_log(std::string id, std::string instance) {
    implementation& self = *implementation_;
    const container_record record = self.at(id).view.record;
    const former_logs kept = self.runtime.replaced_logs();
    if (instance.empty())
        instance = instance_of(record);
    auto work = [kept, file = self.runtime.log_file(id), project = record.project, instance] {
        kept.keep(file, project, instance);
    };
    co_await blocking(self.parts.on.workers, work);
    crash_point("remove: its log is kept");
}

task<> container_manager::implementation::remove(std::string id) {
    managed_container& of = at(id);
    if (of.view.run || of.view.state == run_state::starting)
        throw error(error_kind::conflict,
            fmt::format("remove container \"{}\": it runs; stop it first", of.view.record.name));
    if (of.backoff)
        of.backoff->cancel();
    tell_end(of);
    happened(of, "destroy");
    if (of.view.record.auto_remove) {
        announce(of, "Removed");
        remember_exit(of.view.record);
    }
    parts.records.erase(table::container, id);
    parts.networks.release(id);
    entries.erase(id);
    changed.notify_all();
    crash_point("remove: its record goes");
    co_await parts.records.durable();
    crash_point("remove: its record has gone");
    co_await runtime.remove(id);
    co_await parts.networks.remove_if_idle(default_bridge().name);
}

task<> container_manager::implementation::remove_with_volumes(std::string id) {
    if (!entries.contains(id))
        co_return;
    const std::set<std::string> volumes = volumes_of(at(id).view.record);
    co_await remove(id);
    const std::set<std::string> used = volumes_in_use();
    for (const std::string& name : volumes)
        if (const volume_record* there = parts.volumes.find(name);
            there != nullptr && is_anonymous(there->definition) && !used.contains(name))
            co_await parts.volumes.remove(name);
}

} // namespace engine
