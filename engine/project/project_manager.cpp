#include "engine/project/project_manager.hpp"

#include "compose/model/error.hpp"
#include "engine/image/image_store.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/project/operation_queue.hpp"
#include "engine/project/plan_runner.hpp"
#include "engine/project/plan_steps.hpp"
#include "engine/project/project_records.hpp"
#include "engine/project/step_performer.hpp"
#include "engine/project/up_waiter.hpp"
#include "engine/store/store.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace engine {

using compose::dependency_condition;
using compose::error;
using compose::error_kind;

namespace {

using grace_period = std::optional<std::chrono::nanoseconds>;
constexpr auto kill_patience = std::chrono::seconds(10); // a process in the kernel's hands may take its time

} // namespace

struct project_manager::implementation : std::enable_shared_from_this<implementation> {
    implementation(engine_parts with, container_manager& all)
        : parts(with), containers(all), projects(with.records),
          queue(with.on.io, with.events, all.changed()) {}

    observed_project observe_project(const std::string& name, const compose::project& definition) const;
    plan plan_for(const compose::project& wanted, const up_options& options,
        std::set<std::string>* services = nullptr) const;

    task<> run(plan steps, compose::project definition, grace_period grace, std::function<bool()> superseded);
    /// To the end, whoever comes meanwhile.
    task<> finish(plan steps, compose::project definition, grace_period grace);
    task<> bring_up(compose::project wanted, up_options options, std::function<bool()> superseded);
    task<> bring_up_and_forget(compose::project wanted, up_options options, std::function<bool()> superseded);
    task<> take_down(std::string project, down_options options);
    void announce_unchanged(
        const compose::project& wanted, const std::set<std::string>& services, const plan& steps);
    void announce_left_unchanged(const compose::project& wanted, const std::set<std::string>& services);

    std::shared_ptr<operation> begin_up(compose::project wanted, up_options options, bool new_definition);
    std::shared_ptr<operation> begin_down(const std::string& project, down_options options);
    std::shared_ptr<operation> begin_start(
        const std::string& project, std::set<std::string> services, operation_kind kind);
    void carry_on(const std::string& project, std::set<std::string> ids);

    engine_parts parts;
    container_manager& containers;
    project_records projects;
    operation_queue queue;
};

namespace {

enum class among { enabled, all };

/// The named services, or all; those that are off only by name or where `which` says so.
std::set<std::string> check_services(
    const compose::project& project, std::set<std::string> services, among which) {
    if (services.empty()) {
        for (const auto& [name, service] : project.services)
            services.insert(name);
        if (which == among::all)
            for (const auto& [name, service] : project.disabled_services)
                services.insert(name);
    }
    for (const std::string& name : services)
        if (!project.services.contains(name) && !project.disabled_services.contains(name))
            throw error(error_kind::not_found,
                fmt::format("no such service: {} in project \"{}\"", name, project.name));
    return services;
}

} // namespace

observed_project project_manager::implementation::observe_project(
    const std::string& name, const compose::project& definition) const {
    observed_project now;
    for (const container_view* each : containers.of_project(name))
        if (!each->record.one_off)
            now.containers.push_back(observe(*each));
    for (const network_record& each : parts.networks.list())
        now.networks.emplace(each.definition.name, each.definition);
    for (const volume_record& each : parts.volumes.list())
        now.volumes.emplace(each.definition.name, each.definition);
    for (const auto& [key, service] : definition.services)
        if (const auto picture = parts.images.find(service.image);
            picture && is_for(*picture, service.platform))
            now.images[service.image] = picture->id;
    return now;
}

task<> project_manager::implementation::run(
    plan steps, compose::project definition, grace_period grace, std::function<bool()> superseded) {
    const auto performer =
        std::make_shared<step_performer>(parts, containers, std::move(definition), grace, superseded);
    std::function<task<>(step)> perform = [performer](
                                              step what) { return performer->perform(std::move(what)); };
    std::function<void(const step&)> lapsed = [performer](const step& what) {
        performer->announce("project", performer->project(), what.service, "Warning",
            fmt::format("optional dependency \"{}\" could not be started", what.service));
    };
    const std::vector<step_failure> failures =
        co_await run_plan(parts.on.io, std::move(steps), std::move(perform), std::move(lapsed), superseded);
    if (!failures.empty())
        std::rethrow_exception(failures.front().why);
}

task<> project_manager::implementation::finish(plan steps, compose::project definition, grace_period grace) {
    std::function<bool()> never = [] { return false; };
    return run(std::move(steps), std::move(definition), grace, std::move(never));
}

void project_manager::implementation::announce_unchanged(
    const compose::project& wanted, const std::set<std::string>& services, const plan& steps) {
    std::set<std::string> touched;
    for (const step& each : steps)
        touched.insert(each.name);
    for (const container_view* each : containers.of_project(wanted.name)) {
        if (!services.contains(each->record.service) || touched.contains(each->record.name))
            continue;
        event what;
        what.project = wanted.name;
        what.kind = "container";
        what.name = each->record.name;
        what.service = each->record.service;
        what.status = each->state == run_state::exited ? "Exited" : "Running";
        parts.events.add(std::move(what));
    }
}

void project_manager::implementation::announce_left_unchanged(
    const compose::project& wanted, const std::set<std::string>& services) {
    const std::map<std::string, std::string> hashes;
    const up_request request{.project = wanted, .hashes = hashes, .services = services, .force_recreate = {}};
    for (const std::string& note : left_unchanged(request, observe_project(wanted.name, wanted))) {
        event what;
        what.project = wanted.name;
        what.kind = "project";
        what.name = wanted.name;
        what.status = "Warning";
        what.detail = note;
        parts.events.add(std::move(what));
    }
}

/// `services` gets those that the plan is about.
plan project_manager::implementation::plan_for(
    const compose::project& wanted, const up_options& options, std::set<std::string>* services) const {
    const auto hashes = hashes_of(wanted);
    const std::set<std::string> named = check_services(wanted, options.services, among::enabled);
    const std::set<std::string> all = options.dependencies ? with_dependencies(wanted, named) : named;
    if (services != nullptr)
        *services = all;
    const up_request request{.project = wanted,
        .hashes = hashes,
        .services = all,
        .start = options.start,
        .remove_orphans = options.remove_orphans,
        .force_recreate = options.force_recreate ? named : std::set<std::string>()};
    return plan_up(request, observe_project(wanted.name, wanted));
}

task<> project_manager::implementation::bring_up(
    compose::project wanted, up_options options, std::function<bool()> superseded) {
    co_await parts.records.durable();
    std::set<std::string> services;
    plan steps = plan_for(wanted, options, &services);
    if (!steps.empty())
        projects.remember_up(wanted.name, options);
    // What the containers are compared with is known only once their images are here.
    plan pulls;
    for (const step& each : steps)
        if (each.kind == step_kind::pull_image)
            pulls.push_back(each);
    if (!pulls.empty()) {
        co_await run(pulls, wanted, std::nullopt, superseded);
        steps = plan_for(wanted, options);
    }
    pulls.insert(pulls.end(), steps.begin(), steps.end());
    projects.note_plan(wanted.name, pulls);
    announce_unchanged(wanted, services, steps);
    announce_left_unchanged(wanted, services);
    co_await run(std::move(steps), wanted, std::nullopt, superseded);
    if (options.wait)
        co_await await_up(containers, wanted, services, options.wait_timeout, superseded);
}

/// Brings the host there, and forgets what was to be carried on after a crash however it ends: an `up` that
/// failed is not tried again by itself.
task<> project_manager::implementation::bring_up_and_forget(
    compose::project wanted, up_options options, std::function<bool()> superseded) {
    const std::string name = wanted.name;
    std::exception_ptr failure;
    try {
        co_await bring_up(std::move(wanted), std::move(options), superseded);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!superseded()) // or the record is that of a later one
        projects.forget_up(name);
    if (failure)
        std::rethrow_exception(failure);
}

std::shared_ptr<operation> project_manager::implementation::begin_up(
    compose::project wanted, up_options options, bool new_definition) {
    const std::string name = wanted.name;
    return queue.begin(name, operation_kind::up, new_definition,
        [self = shared_from_this(), wanted, options](std::function<bool()> superseded) {
            return self->bring_up_and_forget(wanted, options, std::move(superseded));
        });
}

/// Goes by what is on the host for the project, so that nothing is left that an earlier definition had.
task<> project_manager::implementation::take_down(std::string project, down_options options) {
    co_await parts.records.durable();
    compose::project definition;
    definition.name = project;
    if (const project_record* known = projects.find(project))
        definition = whole_of(known->definition);
    const down_request wanted{
        .project = definition, .volumes = options.volumes, .remove_orphans = options.remove_orphans};
    plan steps = plan_down(wanted, observe_project(project, definition));
    co_await finish(std::move(steps), definition, options.grace);
    if (containers.of_project(project).empty())
        projects.forget(project);
    else
        projects.empty(project);
    co_await parts.records.durable();
}

std::shared_ptr<operation> project_manager::implementation::begin_down(
    const std::string& project, down_options options) {
    projects.forget_up(project);
    return queue.begin(project, operation_kind::down, false,
        [self = shared_from_this(), project, options](
            const std::function<bool()>&) { return self->take_down(project, options); });
}

/// `services`: known ones.
std::shared_ptr<operation> project_manager::implementation::begin_start(
    const std::string& project, std::set<std::string> services, operation_kind kind) {
    return queue.begin(project, kind, false,
        [self = shared_from_this(), project, services](std::function<bool()> superseded) {
            const compose::project definition = whole_of(self->projects.at(project).definition);
            plan steps = plan_start(definition, self->observe_project(project, definition), services);
            return self->run(std::move(steps), definition, std::nullopt, std::move(superseded));
        });
}

/// `ids`: containers that a former daemon wanted to run.
void project_manager::implementation::carry_on(const std::string& project, std::set<std::string> ids) {
    queue.begin(project, operation_kind::start, false,
        [self = shared_from_this(), project, ids](std::function<bool()> superseded) {
            const compose::project definition = whole_of(self->projects.at(project).definition);
            std::set<std::string> services;
            for (const auto& [name, service] : definition.services)
                services.insert(name);
            plan steps = plan_start(definition, self->observe_project(project, definition), services, ids);
            return self->run(std::move(steps), definition, std::nullopt, std::move(superseded));
        });
}

project_manager::project_manager(engine_parts parts, container_manager& containers)
    : implementation_(std::make_shared<implementation>(parts, containers)) {}

project_manager::~project_manager() = default;

void project_manager::recover() {
    implementation& self = *implementation_;
    std::map<std::string, std::set<std::string>> due; // containers by project
    for (const std::string& id : self.containers.due())
        due[self.containers.find(id)->record.project].insert(id);
    const std::map<std::string, up_options> interrupted = self.projects.interrupted_ups();
    // A copy of the names: an operation with nothing left to do ends, and its project with it, at once.
    std::vector<std::string> names;
    for (const project_record* each : self.projects.list())
        names.push_back(each->name());
    for (const std::string& name : names) {
        const project_record project = self.projects.at(name);
        if (const auto up = interrupted.find(name); up != interrupted.end() && !project.removing) {
            spdlog::info("project {}: carries on with an interrupted up", name);
            self.begin_up(project.definition, up->second, true);
        } else if (project.removing) {
            self.begin_down(name, project.remove);
        } else if (const auto found = due.find(name); found != due.end()) {
            self.carry_on(name, found->second);
        }
    }
}

task<std::shared_ptr<operation>> project_manager::up(compose::project wanted, up_options options) {
    const auto self = implementation_;
    if (wanted.services.empty())
        throw error(error_kind::invalid, fmt::format("project \"{}\": no service selected", wanted.name));
    check_services(wanted, options.services, among::enabled);
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

task<std::shared_ptr<operation>> project_manager::start(std::string project, std::set<std::string> services) {
    const auto self = implementation_;
    const compose::project definition = self->projects.at(project).definition;
    services = check_services(definition, std::move(services), among::enabled);
    const observed_project now = self->observe_project(project, definition);
    for (const std::string& name : services)
        if (containers_of(now, name).empty())
            throw error(error_kind::not_found,
                fmt::format(
                    "service \"{}\" has no container to start; make one with: compose up -d {}", name, name));
    co_return self->begin_start(project, std::move(services), operation_kind::start);
}

task<std::shared_ptr<operation>> project_manager::stop(
    std::string project, std::set<std::string> services, grace_period grace, bool remove) {
    const auto self = implementation_;
    services = check_services(self->projects.at(project).definition, std::move(services), among::all);
    self->projects.forget_up(project);
    co_return self->queue.begin(project, operation_kind::stop, false,
        [self, project, services, grace, remove](const std::function<bool()>&) {
            const compose::project definition = whole_of(self->projects.at(project).definition);
            plan steps = plan_stop(definition, self->observe_project(project, definition), services, remove);
            return self->finish(std::move(steps), definition, grace);
        });
}

namespace {

task<> stop_and_start(std::function<task<>()> first, std::function<task<>()> second) {
    co_await first();
    co_await second();
}

} // namespace

task<std::shared_ptr<operation>> project_manager::restart(
    std::string project, std::set<std::string> services, grace_period grace) {
    const auto self = implementation_;
    const compose::project definition = whole_of(self->projects.at(project).definition);
    services = check_services(self->projects.at(project).definition, std::move(services), among::enabled);
    self->projects.forget_up(project);
    co_return self->queue.begin(project, operation_kind::restart, false,
        [self, definition, services, grace](std::function<bool()> superseded) {
            std::function<task<>()> end = [self, definition, services, grace] {
                plan steps = plan_stop(
                    definition, self->observe_project(definition.name, definition), services, false);
                return self->finish(std::move(steps), definition, grace);
            };
            std::function<task<>()> begin_again = [self, definition, services, superseded] {
                plan steps =
                    plan_start(definition, self->observe_project(definition.name, definition), services);
                return self->run(std::move(steps), definition, std::nullopt, superseded);
            };
            return stop_and_start(std::move(end), std::move(begin_again));
        });
}

namespace {

event event_of(const container_view& container, std::string status) {
    event what;
    what.project = container.record.project;
    what.kind = "container";
    what.name = container.record.name;
    what.id = container.record.id;
    what.service = container.record.service;
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
    std::string project, std::set<std::string> services, int signal) {
    const auto self = implementation_;
    services = check_services(self->projects.at(project).definition, std::move(services), among::all);
    std::vector<std::string> ids;
    for (const container_view* each : self->containers.of_project(project))
        if ((each->run || is_up(each->state)) && services.contains(each->record.service))
            ids.push_back(each->record.id);
    if (ids.empty())
        throw error(error_kind::conflict, fmt::format("project \"{}\": no container to kill: none of {} runs",
                                              project, fmt::join(services, ", ")));
    // A stop under way, which may wait a minute for what does not want to end, is helped by it.
    co_return self->queue.begin_beside(
        project, [self, ids, signal] { return kill_all(self->parts, self->containers, ids, signal); });
}

task<std::shared_ptr<operation>> project_manager::remove_stopped(
    std::string project, std::set<std::string> services) {
    const auto self = implementation_;
    services = check_services(self->projects.at(project).definition, std::move(services), among::all);
    co_return self->queue.begin(
        project, operation_kind::remove, false, [self, project, services](const std::function<bool()>&) {
            const compose::project definition = whole_of(self->projects.at(project).definition);
            observed_project now = self->observe_project(project, definition);
            std::erase_if(now.containers, [](const observed_container& each) {
                return each.state != run_state::exited && each.state != run_state::created;
            });
            plan steps = plan_stop(definition, now, services, true);
            return self->finish(std::move(steps), definition, std::nullopt);
        });
}

plan project_manager::preview(const compose::project& wanted, const up_options& options) const {
    return implementation_->plan_for(wanted, options);
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
