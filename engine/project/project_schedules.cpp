#include "engine/project/plan_steps.hpp"
#include "engine/project/project_manager_state.hpp"
#include "engine/project/schedule_record.hpp"
#include "engine/store/store.hpp"
#include "engine/system/identifier.hpp"

#include "compose/model/cron.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

// project_manager: services that run by a schedule.
namespace engine {

using compose::error;
using compose::error_kind;
using clock = std::chrono::system_clock;

namespace {

constexpr auto longest_sleep = std::chrono::seconds(30); // clocks are set, hosts are put to sleep
constexpr auto still_in_time = std::chrono::minutes(1);
constexpr auto clock_set_back = std::chrono::hours(1);

clock::time_point next_of(const compose::service& service, const schedule_state& state) {
    return compose::cron::parse(service.scheduled->when).next(state.after);
}

/// The container of a scheduled service; null where there is none.
const container_view* container_of(
    const container_manager& containers, const std::string& project, const std::string& service) {
    for (const container_view* each : containers.of_project(project))
        if (each->record.service == service && !each->record.one_off)
            return each;
    return nullptr;
}

scheduled_run* run_due_at(schedule_state& state, const std::string& due) {
    const auto found = std::find_if(
        state.runs.rbegin(), state.runs.rend(), [&](const scheduled_run& each) { return each.due == due; });
    return found == state.runs.rend() ? nullptr : &*found;
}

} // namespace

std::set<std::string> scheduled_of(const compose::project& project) {
    std::set<std::string> names;
    for (const auto& [name, service] : project.services)
        if (service.scheduled)
            names.insert(name);
    return names;
}

std::optional<clock::time_point> next_run(const project_record& project, const std::string& service) {
    const auto wanted = project.definition.services.find(service);
    const auto state = project.schedules.find(service);
    if (project.removing || wanted == project.definition.services.end() || !wanted->second.scheduled ||
        state == project.schedules.end() || !state->second.active)
        return std::nullopt;
    return next_of(wanted->second, state->second);
}

void project_manager::implementation::activate_schedules(
    const compose::project& definition, const std::set<std::string>& services, bool active) {
    for (const auto& [name, service] : definition.services)
        if (service.scheduled && services.contains(name))
            projects.change_schedule(
                definition.name, name, [&, when = service.scheduled->when](schedule_state& state) {
                    if (active)
                        activate(state, when, clock::now());
                    state.active = active;
                });
    schedules_changed.notify_all();
}

/// Durable before it begins: what was due is seen to once, whoever dies.
void project_manager::implementation::begin_due(
    const project_record& project, const std::string& service, clock::time_point due) {
    const compose::schedule how = *project.definition.services.at(service).scheduled;
    const std::string name = project.name();
    const clock::time_point now = clock::now();
    const bool missed = now - due > still_in_time;
    const container_view* container = container_of(containers, name, service);
    const bool runs =
        container != nullptr && (is_up(container->state) || container->state == run_state::stopping);
    scheduled_run run{.due = timestamp(due)};
    if (missed && how.missed == "skip")
        run.error = "missed: composed did not run then";
    else if (container == nullptr)
        run.error = fmt::format("it has no container; make one with: compose up -d {}", service);
    const bool skipped = run.error.empty() && runs && how.overlap != "replace";
    projects.change_schedule(name, service, [&](schedule_state& state) {
        state.after = now;
        if (skipped && !state.runs.empty())
            ++state.runs.back().skipped;
        else if (!skipped)
            add_run(state, run);
    });
    if (skipped || !run.error.empty()) {
        spdlog::info("project {}: service {} was due and did not run: {}", name, service,
            skipped ? "it runs still" : run.error);
        return;
    }
    queue.begin_by_itself(name, operation_kind::start,
        [self = shared_from_this(), name, service, due = run.due](std::function<bool()> superseded) {
            return self->run_scheduled(name, service, due, std::move(superseded));
        });
}

void project_manager::implementation::end_scheduled(const std::string& project, const std::string& service,
    const std::string& due, const std::function<void(scheduled_run&)>& change) {
    projects.change_schedule(project, service, [&](schedule_state& state) {
        if (scheduled_run* run = run_due_at(state, due); run != nullptr && !run->is_over())
            change(*run);
    });
}

task<> project_manager::implementation::run_scheduled(
    std::string project, std::string service, std::string due, std::function<bool()> superseded) {
    std::exception_ptr failure;
    std::string why;
    try {
        co_await start_scheduled(project, service, due, superseded);
    } catch (const error& thrown) {
        why = thrown.what();
        failure = std::current_exception();
    }
    if (!failure)
        co_return;
    spdlog::warn("project {}: service {} was due and could not be started: {}", project, service, why);
    end_scheduled(project, service, due, [&](scheduled_run& run) {
        run.error = superseded() ? "something else was asked of the project before it could start" : why;
    });
    std::rethrow_exception(failure);
}

task<> project_manager::implementation::start_scheduled(
    std::string project, std::string service, std::string due, std::function<bool()> superseded) {
    co_await parts.records.durable();
    const container_view* container = container_of(containers, project, service);
    if (container == nullptr || projects.find(project) == nullptr)
        throw error(error_kind::not_found, "its container has been removed");
    const std::string id = container->record.id;
    if (is_up(container->state))
        co_await containers.stop(id);
    if (containers.find(id) == nullptr)
        throw error(error_kind::not_found, "its container has been removed");
    const auto end = containers.watch_end(id);
    const std::string before = containers.find(id)->record.started;
    const compose::project definition = projects.at(project).definition;
    plan steps = plan_run(definition, observe_project(project, definition), service);
    std::exception_ptr failure;
    try {
        co_await run(std::move(steps), definition, std::nullopt, superseded);
    } catch (const error&) {
        failure = std::current_exception();
    }
    // Where it has begun something else has failed: its end says what came of it.
    if (const container_view* now = containers.find(id);
        failure && (now == nullptr || now->record.started == before))
        std::rethrow_exception(failure);
    if (superseded() && !end->done && (containers.find(id) == nullptr || !containers.find(id)->run))
        throw error(error_kind::conflict, "given way");
    if (const container_view* now = containers.find(id))
        end_scheduled(project, service, due, [&](scheduled_run& run) { run.started = now->record.started; });
    spawn(parts.on.io, "await " + service, follow_scheduled(shared_from_this(), project, service, due, end));
}

task<> project_manager::implementation::follow_scheduled(std::shared_ptr<implementation> self,
    std::string project, std::string service, std::string due, std::shared_ptr<run_end> end) {
    while (!end->done)
        co_await end->changed.wait();
    self->end_scheduled(project, service, due, [&](scheduled_run& run) {
        run.finished = end->exit.finished.empty() ? timestamp_now() : end->exit.finished;
        run.exit_code = end->exit.code;
        run.error = end->exit.error;
        const container_view* container = container_of(self->containers, project, service);
        if (run.error.empty() && container != nullptr)
            run.error = container->record.hook_failure;
    });
}

/// What a former daemon began: it runs still, or has ended meanwhile.
void project_manager::implementation::recover_schedule(
    const std::string& project, const std::string& service, const scheduled_run& run) {
    const container_view* container = container_of(containers, project, service);
    if (container != nullptr && container->record.started >= run.due &&
        (container->run || container->record.wanted)) {
        spawn(parts.on.io, "await " + service,
            follow_scheduled(
                shared_from_this(), project, service, run.due, containers.watch_end(container->record.id)));
        end_scheduled(project, service, run.due,
            [&](scheduled_run& found) { found.started = container->record.started; });
        return;
    }
    end_scheduled(project, service, run.due, [&](scheduled_run& found) {
        if (container != nullptr && container->record.exit && container->record.started >= run.due &&
            container->record.exit->finished >= container->record.started) {
            found.started = container->record.started;
            found.finished = container->record.exit->finished;
            found.exit_code = container->record.exit->code;
            found.error = container->record.hook_failure;
        } else {
            found.error = run.started.empty() ? "composed ended before it could start"
                                              : "the host or composed went down while it ran";
        }
    });
}

void project_manager::implementation::recover_schedules() {
    for (const project_record* each : projects.list()) {
        const schedule_states states = each->schedules; // a copy: they change
        for (const auto& [service, state] : states)
            for (const scheduled_run& run : state.runs)
                if (!run.is_over())
                    recover_schedule(each->name(), service, run);
    }
    spawn(parts.on.io, "follow the schedules", follow_schedules(shared_from_this()));
}

/// Begins what is due. Gives when to look again.
clock::time_point project_manager::implementation::see_to_schedules() {
    const clock::time_point now = clock::now();
    clock::time_point next = clock::time_point::max();
    for (const project_record* project : projects.list())
        for (const std::string& service : scheduled_of(project->definition)) {
            const auto state = project->schedules.find(service);
            if (state != project->schedules.end() && state->second.after > now + clock_set_back)
                projects.change_schedule(
                    project->name(), service, [&](schedule_state& changed) { changed.after = now; });
            const auto due = next_run(*project, service);
            if (!due)
                continue;
            if (*due <= now)
                begin_due(*project, service, *due);
            next = std::min(next, std::max(*due, now));
        }
    return next;
}

task<> project_manager::implementation::follow_schedules(std::shared_ptr<implementation> self) {
    while (!self->containers.closed()) {
        const clock::time_point next = self->see_to_schedules();
        if (next == clock::time_point::max())
            co_await self->schedules_changed.wait();
        else if (const auto left = next - clock::now(); left > clock::duration(0))
            co_await self->schedules_changed.wait_for(std::min<clock::duration>(left, longest_sleep));
    }
}

} // namespace engine
