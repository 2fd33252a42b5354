#include "engine/project/project_manager.hpp"

#include "compose/model/error.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/project/plan_steps.hpp"
#include "engine/project/preparations.hpp"
#include "engine/project/project_manager_state.hpp"
#include "engine/store/store.hpp"
#include "engine/system/identifier.hpp"
#include "engine/volume/secret_store.hpp"
#include "engine/volume/volume_store.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

constexpr auto kill_patience = std::chrono::seconds(10); // a process in the kernel's hands may take its time

} // namespace

project_manager::project_manager(engine_parts parts, container_manager& containers)
    : implementation_(std::make_shared<implementation>(parts, containers)) {
    containers.on_restarted(
        [weak = std::weak_ptr<implementation>(implementation_)](const container_record& restarted) {
            if (const auto self = weak.lock())
                self->follow_restart(restarted);
        });
}

project_manager::~project_manager() = default;

void project_manager::recover() {
    implementation& self = *implementation_;
    self.care.start();
    std::set<std::string> due; // projects
    for (const std::string& id : self.containers.due())
        due.insert(self.containers.find(id)->record.project);
    // A copy of the names: an operation with nothing left to do ends, and its project with it, at once.
    std::vector<std::string> names;
    for (const project_record* each : self.projects.list())
        names.push_back(each->name());
    self.containers.runtime().replaced_logs().forget_all_but({names.begin(), names.end()});
    for (const std::string& name : self.parts.secrets.projects())
        self.begin_collecting(name);
    for (const std::string& name : names) {
        const project_record project = self.projects.at(name);
        if (self.projects.up_under_way(name) != nullptr && !project.removing) {
            spdlog::info("project {}: carries on with an interrupted up", name);
            self.carry_on_up(name);
        } else if (project.removing) {
            self.begin_down(name, project.remove);
        } else if (due.contains(name)) {
            self.carry_on(name);
        }
        self.follow_what_is_due(name);
    }
    self.recover_schedules();
}

task<std::shared_ptr<operation>> project_manager::up(compose::project wanted, up_options options) {
    const auto self = implementation_;
    if (wanted.services.empty())
        throw error(error_kind::invalid, fmt::format("project \"{}\": no service selected", wanted.name));
    options.asked = timestamp_now();
    self->limits_without_effect(wanted, check_services(wanted, options.services, among::enabled));
    self->take_contents(wanted, options, true);
    // Nothing may come between: a `down` that ends meanwhile would forget the new definition.
    const bool new_definition = self->projects.save_revision(wanted, options);
    const std::uint64_t revision = self->projects.at(wanted.name).revision;
    auto under_way = self->begin_up(std::move(wanted), std::move(options), new_definition);
    under_way->revision = revision;
    co_await self->parts.records.durable();
    co_return under_way;
}

task<std::vector<revision>> project_manager::revisions(std::string project) {
    return implementation_->projects.revisions(std::move(project));
}

task<std::shared_ptr<operation>> project_manager::down(std::string project, down_options options) {
    const auto self = implementation_;
    const observed_project now = self->observe_project(project, {});
    const auto owned = [&](const auto& entry) { return entry.second.project == project; };
    if (self->projects.find(project) == nullptr && now.containers.empty() &&
        std::none_of(now.networks.begin(), now.networks.end(), owned) &&
        std::none_of(now.volumes.begin(), now.volumes.end(), owned))
        throw error(error_kind::not_found,
            fmt::format("project \"{}\": there is nothing of that name to take down", project));
    self->projects.mark_removing(project, options);
    auto under_way = self->begin_down(project, options);
    co_await self->parts.records.durable();
    co_return under_way;
}

task<std::shared_ptr<operation>> project_manager::start(
    std::string project, std::set<std::string> services, wait_options wait) {
    const auto self = implementation_;
    const compose::project definition = self->projects.at(project).definition;
    services = check_services(definition, std::move(services), among::enabled);
    const observed_project now = self->observe_project(project, definition);
    const containers_by_service there(now);
    for (const std::string& name : services)
        if (there.of(name).empty())
            throw error(error_kind::not_found,
                fmt::format(
                    "service \"{}\" has no container to start; make one with: compose up -d {}", name, name));
    self->activate_schedules(definition, services, true);
    co_return self->begin_start(project, std::move(services), wait);
}

task<std::shared_ptr<operation>> project_manager::stop(
    std::string project, std::set<std::string> services, grace_period grace, bool remove) {
    const auto self = implementation_;
    services = check_services(self->projects.at(project).definition, std::move(services), among::all);
    self->projects.forget_up(project);
    self->activate_schedules(self->projects.at(project).definition, services, false);
    co_return self->queue.begin(project, operation_kind::stop, false,
        [self, project, services, grace, remove](
            const std::function<bool()>&) { return self->stop_services(project, services, grace, remove); });
}

task<> project_manager::implementation::stop_services(
    std::string project, std::set<std::string> services, grace_period grace, bool remove) {
    // An `up` that has given way to this has left them at work.
    std::function<bool(const container_record&)> theirs = [services](const container_record& prepared) {
        return services.contains(prepared.service);
    };
    co_await end_preparations(containers, project, std::move(theirs));
    const compose::project definition = whole_of(projects.at(project).definition);
    plan steps = plan_stop(definition, observe_project(project, definition), services, remove);
    co_await finish(std::move(steps), definition, grace);
}

task<std::shared_ptr<operation>> project_manager::restart(
    std::string project, std::set<std::string> services, grace_period grace, bool dependents) {
    const auto self = implementation_;
    const compose::project definition = whole_of(self->projects.at(project).definition);
    services = check_services(self->projects.at(project).definition, std::move(services), among::enabled);
    self->projects.forget_up(project);
    self->activate_schedules(definition, services, true);
    co_return self->queue.begin(project, operation_kind::restart, false,
        [self, definition, services, grace, dependents](std::function<bool()> superseded) {
            std::set<std::string> all = services;
            if (dependents)
                all.merge(self->followers_of(definition, services));
            return self->restart_for_person(definition, std::move(all), grace, std::move(superseded));
        });
}

namespace {

event event_of(const container_view& container, std::string status) {
    event what = event_about(container.record);
    what.status = std::move(status);
    return what;
}

/// Signals all, and after a SIGKILL waits until they have ended.
task<> kill_all(engine_parts parts, container_manager& containers, std::vector<std::string> ids, int signal) {
    std::map<std::string, event> killed;
    for (const std::string& id : ids) {
        const container_view* each = containers.find(id);
        if (each == nullptr)
            continue;
        parts.events.add(event_of(*each, "Killing"));
        killed.emplace(id, event_of(*each, "Killed"));
        co_await containers.kill(id, signal);
    }
    const auto deadline = std::chrono::steady_clock::now() + kill_patience;
    for (auto& [id, what] : killed) {
        for (const container_view* each = containers.find(id);
             signal == SIGKILL && each != nullptr && each->run && std::chrono::steady_clock::now() < deadline;
             each = containers.find(id))
            co_await containers.changed().wait_for(std::chrono::milliseconds(100));
        parts.events.add(std::move(what));
    }
}

} // namespace

task<std::shared_ptr<operation>> project_manager::kill(
    std::string project, std::set<std::string> services, int signal, bool orphans) {
    const auto self = implementation_;
    const compose::project& definition = self->projects.at(project).definition;
    const bool all = services.empty();
    services = check_services(definition, std::move(services), among::all);
    const auto is_meant = [&](const std::string& service) {
        return services.contains(service) || (all && orphans && !definition.services.contains(service) &&
                                                 !definition.disabled_services.contains(service));
    };
    std::vector<std::string> ids;
    for (const container_view* each : self->containers.of_project(project))
        if ((each->run || is_up(each->state)) && is_meant(each->record.service))
            ids.push_back(each->record.id);
    if (ids.empty())
        throw error(error_kind::conflict, fmt::format("project \"{}\": no container to kill: none of {} runs",
                                              project, fmt::join(services, ", ")));
    // A stop under way, which may wait a minute for what does not want to end, is helped by it.
    co_return self->queue.begin_beside(
        project, [self, ids, signal] { return kill_all(self->parts, self->containers, ids, signal); });
}

task<> project_manager::end_all(std::chrono::nanoseconds limit) {
    const auto self = implementation_;
    self->containers.close();
    const auto deadline = std::chrono::steady_clock::now() + limit;
    std::set<std::string> names;
    for (const container_view* each : self->containers.all())
        names.insert(each->record.project);
    std::vector<std::shared_ptr<operation>> ends;
    for (const std::string& name : names) {
        std::function<task<>()> end = [self, name, deadline] { return self->end_project(name, deadline); };
        ends.push_back(self->queue.begin_beside(name, std::move(end)));
    }
    for (const std::shared_ptr<operation>& each : ends)
        if (!each->done())
            co_await each->wait();
    co_await self->parts.records.durable();
}

task<std::shared_ptr<operation>> project_manager::remove_stopped(
    std::string project, std::set<std::string> services, bool volumes) {
    const auto self = implementation_;
    services = check_services(self->projects.at(project).definition, std::move(services), among::all);
    co_return self->queue.begin(project, operation_kind::remove, false,
        [self, project, services, volumes](const std::function<bool()>&) {
            const compose::project definition = whole_of(self->projects.at(project).definition);
            observed_project now = self->observe_project(project, definition);
            const observed_project all = now;
            std::erase_if(now.containers, [&](const observed_container& each) {
                return (each.state != run_state::exited && each.state != run_state::created) ||
                       next_run(self->projects.at(project), each.service); // it waits for its next run
            });
            plan steps = plan_stop(definition, now, services, true);
            if (volumes)
                remove_anonymous_volumes(steps, all);
            return self->finish(std::move(steps), definition, std::nullopt);
        });
}

plan project_manager::preview(compose::project wanted, const up_options& options) const {
    implementation_->take_contents(wanted, options, false);
    return implementation_->plan_for(wanted, options);
}

bool project_manager::is_defined_as(compose::project wanted) const {
    const project_record* known = find(wanted.name);
    if (known == nullptr || known->removing)
        return false;
    try {
        implementation_->take_contents(wanted, {}, false);
    } catch (const error&) {
        return false; // whoever brings it up is told
    }
    return known->definition == wanted;
}

bool project_manager::has_refused(compose::project wanted) const {
    const project_record* known = find(wanted.name);
    if (known == nullptr || !known->refused || known->removing)
        return false;
    try {
        implementation_->take_contents(wanted, {}, false);
    } catch (const error&) {
        return false; // whoever brings it up is told
    }
    return *known->refused == wanted;
}

bool project_manager::busy(const std::string& name) const {
    return implementation_->queue.busy(name);
}

const project_record* project_manager::find(const std::string& name) const {
    return implementation_->projects.find(name);
}

std::vector<const project_record*> project_manager::list() const {
    return implementation_->projects.list();
}

std::vector<std::string> project_manager::orphans_of(const compose::project& project) const {
    std::vector<std::string> names;
    for (const container_view* each : implementation_->containers.of_project(project.name))
        if (!each->record.one_off && !project.services.contains(each->record.service) &&
            !project.disabled_services.contains(each->record.service))
            names.push_back(each->record.name);
    return names;
}

} // namespace engine
