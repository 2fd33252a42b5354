#include "engine/project/project_manager_state.hpp"

#include "compose/model/error.hpp"
#include "compose/model/images.hpp"
#include "engine/container/host_abilities.hpp"
#include "engine/image/image_store.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/project/launch_surroundings.hpp"
#include "engine/project/plan_runner.hpp"
#include "engine/project/plan_steps.hpp"
#include "engine/project/pull_policy.hpp"
#include "engine/project/shutdown.hpp"
#include "engine/project/source_disks.hpp"
#include "engine/project/step_performer.hpp"
#include "engine/project/up_outlook.hpp"
#include "engine/project/up_waiter.hpp"
#include "engine/store/store.hpp"
#include "engine/system/mount.hpp"
#include "engine/volume/secret_store.hpp"
#include "engine/volume/volume_store.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <utility>

namespace engine {

using compose::error;
using compose::error_kind;

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
            throw error(error_kind::not_found, fmt::format("no such service: {}", name));
    return services;
}

task<> project_manager::implementation::run(plan steps, compose::project definition, grace_period grace,
    std::function<bool()> superseded, std::shared_ptr<update_report> report, wait_limit until) {
    const auto performer = std::make_shared<step_performer>(
        parts, containers, std::move(definition), grace, superseded, std::move(report), until);
    performer->expect(steps);
    std::function<task<>(step)> perform = [performer](
                                              step what) { return performer->perform(std::move(what)); };
    std::function<void(const step&)> lapsed = [performer](const step& what) {
        performer->announce("project", performer->project(), what.service, "Warning",
            fmt::format("optional dependency \"{}\" could not be started", what.service));
    };
    std::vector<step_failure> failures =
        co_await run_plan(parts.on.io, std::move(steps), std::move(perform), std::move(lapsed), superseded);
    // What has failed of an update is told by its judge, if at all.
    std::erase_if(failures, [](const step_failure& each) {
        return each.what.update && each.what.kind != step_kind::watch_update;
    });
    if (!failures.empty())
        std::rethrow_exception(failures.front().why);
}

task<> project_manager::implementation::finish(plan steps, compose::project definition, grace_period grace) {
    std::function<bool()> never = [] { return false; };
    return run(std::move(steps), std::move(definition), grace, std::move(never));
}

std::function<void(const container_record&, std::string)> project_manager::implementation::teller() {
    return [this](const container_record& of, std::string status) {
        event what = event_about(of);
        what.status = std::move(status);
        parts.events.add(std::move(what));
    };
}

void project_manager::implementation::announce_unchanged(
    const compose::project& wanted, const std::set<std::string>& services, const plan& steps) {
    std::set<std::string> touched;
    for (const step& each : steps)
        touched.insert(each.name);
    for (const container_view* each : containers.of_project(wanted.name)) {
        if (!each->record.is_own() || !services.contains(each->record.service) ||
            touched.contains(each->record.name))
            continue;
        const bool scheduled = wanted.services.at(each->record.service).scheduled.has_value();
        teller()(each->record, scheduled && !is_up(each->state)    ? "Scheduled"
                               : each->state == run_state::exited  ? "Exited"
                               : each->state == run_state::created ? "Created"
                                                                   : "Running");
    }
}

void project_manager::implementation::announce_left_unchanged(
    const compose::project& wanted, const std::set<std::string>& services) {
    const std::map<std::string, std::string> hashes;
    const up_request request{.project = wanted, .hashes = hashes, .services = services, .force_recreate = {}};
    std::vector<std::string> notes = left_unchanged(request, observe_project(wanted.name, wanted));
    for (std::string& note : mounts_without_effect(request, runs_selinux())) {
        spdlog::warn("project {}: {}", wanted.name, note);
        notes.push_back(std::move(note));
    }
    for (std::string& note : not_start_first(request, observe_project(wanted.name, wanted)))
        notes.push_back(std::move(note));
    for (std::string& note : networks_without_effect(request, observe_project(wanted.name, wanted)))
        notes.push_back(std::move(note));
    for (std::string& note : limits_without_effect(wanted, services))
        notes.push_back(std::move(note));
    std::set<std::string> known;
    for (const container_view* each : containers.all())
        known.insert(
            {each->record.name, each->record.service, each->record.id, each->record.id.substr(0, 12)});
    for (std::string& note : links_to_nothing(request, std::move(known)))
        notes.push_back(std::move(note));
    for (const std::string& note : notes)
        announce_note(wanted.name, note);
}

void project_manager::implementation::announce_note(const std::string& project, const std::string& note) {
    event what;
    what.project = project;
    what.kind = "project";
    what.name = project;
    what.status = "Warning";
    what.detail = note;
    parts.events.add(std::move(what));
}

/// Throws error{invalid} for what this host does not have.
std::vector<std::string> project_manager::implementation::limits_without_effect(
    const compose::project& wanted, const std::set<std::string>& services) const {
    std::vector<std::string> notes;
    for (const std::string& name : services) {
        const auto service = wanted.services.find(name);
        if (service == wanted.services.end())
            continue;
        container_spec spec;
        if (containers.runtime().host().own_users)
            refuse_own_users(service->second);
        spec.domainname = service->second.domainname;
        apply_surroundings(spec, service->second);
        for (const std::string& note : fit_to_host(spec, containers.runtime().host()))
            notes.push_back(fmt::format("services.{}.{}", name, note));
    }
    return notes;
}

void project_manager::implementation::take_contents(
    compose::project& wanted, const up_options& options, bool keep) const {
    std::set<std::string> services = check_services(wanted, options.services, among::enabled);
    std::erase_if(services, [&](const std::string& name) { return !wanted.services.contains(name); });
    if (options.dependencies)
        services = with_dependencies(wanted, services);
    parts.secrets.take_contents(wanted, services, keep);
}

task<> project_manager::implementation::collect_contents(
    std::shared_ptr<implementation> self, std::string project) {
    const std::uint64_t since = self->parts.secrets.begin_collection();
    std::set<content_key> referred;
    const std::vector<record> rows = co_await self->parts.records.find(table::revision, project + "/");
    for (const record& row : rows)
        referred.merge(contents_of(decode_revision(row.key, row.value).definition));
    if (const project_record* now = self->projects.find(project))
        referred.merge(contents_of(now->definition));
    for (const container_view* each : self->containers.of_project(project))
        referred.merge(contents_of(each->record.definition));
    self->parts.secrets.collect(project, referred, since);
}

void project_manager::implementation::begin_collecting(const std::string& project) {
    if (parts.secrets.projects().contains(project))
        spawn(parts.on.io, "forget secrets of " + project, collect_contents(shared_from_this(), project));
}

std::map<std::string, std::string> project_manager::implementation::images_to_renew(
    const compose::project& wanted, const std::set<std::string>& services) const {
    std::map<std::string, std::string> found;
    const auto now = std::chrono::system_clock::now();
    for (const std::string& name : services) {
        const compose::service& service = wanted.services.at(name);
        if (service.image.empty())
            continue;
        std::string why = why_pull_again(service.pull_policy, parts.images.named_at(service.image), now);
        if (!why.empty())
            found[service.image] = std::move(why);
    }
    return found;
}

namespace {

/// All that the service has was made by the same `up`, of which a former daemon did a part.
bool is_made_since(const container_manager& containers, const std::string& project,
    const std::string& service, const std::string& asked) {
    bool some = false;
    for (const container_view* each : containers.of_project(project)) {
        const container_record& record = each->record;
        if (record.service != service || !record.is_own())
            continue;
        if (asked.empty() || record.created < asked)
            return false;
        some = true;
    }
    return some;
}

} // namespace

/// `services` gets those that the plan is about.
plan project_manager::implementation::plan_for(
    const compose::project& wanted, const up_options& options, std::set<std::string>* services) const {
    const auto hashes = hashes_of(wanted);
    const std::set<std::string> named = check_services(wanted, options.services, among::enabled);
    const std::set<std::string> all = options.dependencies ? with_dependencies(wanted, named) : named;
    if (services != nullptr)
        *services = all;
    std::set<std::string> anew;
    for (const std::string& name : all)
        if ((named.contains(name) ? options.force_recreate : options.recreate_dependencies) &&
            !is_made_since(containers, wanted.name, name, options.asked))
            anew.insert(name);
    const up_request request{.project = wanted,
        .hashes = hashes,
        .services = all,
        .start = options.start,
        .remove_orphans = options.remove_orphans,
        .carry_on = options.carry_on,
        .force_recreate = std::move(anew),
        // Nothing is pulled at a boot, nor twice for one `up`.
        .pull_again = options.pulled || options.carry_on ? std::map<std::string, std::string>()
                                                         : images_to_renew(wanted, all),
        .keep_containers = options.keep_containers,
        .renew_anonymous = options.renew_anonymous,
        .rolling_back = options.back_to != 0,
        .pinned = options.back_to != 0 ? options.images_before : std::map<std::string, std::string>()};
    observed_project now = observe_project(wanted.name, wanted);
    for (const auto& [reference, image] : request.pinned)
        now.images[reference] = image;
    return plan_up(request, now);
}

task<> project_manager::implementation::bring_up(compose::project wanted, up_options options,
    std::function<bool()> superseded, std::shared_ptr<update_report> report) {
    co_await parts.records.durable();
    if (options.images_before.empty())
        options.images_before = images_of_containers(wanted.name);
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
        std::exception_ptr failure;
        try {
            co_await run(pulls, wanted, options.grace, superseded);
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            projects.note_plan(wanted.name, steps, options); // what it would have been, as far as is known
            std::rethrow_exception(failure);
        }
        options.pulled = true;
        steps = plan_for(wanted, options);
    }
    pulls.insert(pulls.end(), steps.begin(), steps.end());
    projects.note_plan(wanted.name, pulls, options);
    if (options.start && !options.carry_on) { // after a boot disks come late: each start waits for its own
        std::set<std::string> made;
        for (const step& each : steps)
            if (each.kind == step_kind::create_container)
                made.insert(each.service);
        if (options.force_recreate)
            co_await accept_folders(parts, wanted, made);
        co_await check_disks(parts, wanted, made);
    }
    if (!options.carry_on) // what a crash has cut short is half taken down already
        co_await check_outlook(parts, wanted, services, steps);
    announce_unchanged(wanted, services, steps);
    announce_left_unchanged(wanted, services);
    if (options.start)
        activate_schedules(wanted, services, true);
    wait_limit until;
    if (options.wait && options.wait_timeout)
        until = std::chrono::steady_clock::now() + *options.wait_timeout;
    co_await run(std::move(steps), wanted, options.grace, superseded, std::move(report), until);
    if (options.wait)
        co_await await_up(parts.on, containers, wanted, services, until, superseded, teller());
}

/// Brings the host there, and forgets what was to be carried on after a crash however it ends: an `up` that
/// failed is not tried again by itself.
task<> project_manager::implementation::bring_up_and_forget(
    compose::project wanted, up_options options, std::function<bool()> superseded) {
    const std::string name = wanted.name;
    const auto report = std::make_shared<update_report>();
    const bool went_back = options.back_to != 0; // for a former daemon
    if (options.images_before.empty())
        options.images_before = images_of_containers(name);
    std::exception_ptr failure = co_await try_to_bring_up(std::move(wanted), options, superseded, report);
    if (failure && report->stopped && !went_back && !superseded() && !containers.closed())
        projects.refuse(name);
    if (failure && report->rolls_back && !went_back && !superseded() && !containers.closed())
        failure = co_await go_back(name, std::move(options), superseded, failure);
    if (!superseded() && !containers.closed()) // or the record is that of a later one
        projects.forget_up(name);
    begin_collecting(name);
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

/// Brings about what a former daemon was about, unless somebody has decided otherwise since.
task<> project_manager::implementation::end_interrupted_up(
    std::string project, std::function<bool()> superseded) {
    const up_options* known = projects.up_under_way(project);
    if (known == nullptr || projects.find(project) == nullptr)
        co_return;
    up_options options = *known;
    options.carry_on = true;
    std::exception_ptr failure;
    try {
        co_await bring_up_and_forget(projects.at(project).definition, options, superseded);
    } catch (...) {
        failure = std::current_exception();
    }
    // Whoever came first may have been about a part of it.
    if (superseded())
        carry_on_up(project);
    follow_what_is_due(project);
    if (failure)
        std::rethrow_exception(failure);
}

void project_manager::implementation::carry_on_up(const std::string& project) {
    queue.begin_by_itself(
        project, operation_kind::up, [self = shared_from_this(), project](std::function<bool()> superseded) {
            return self->end_interrupted_up(project, std::move(superseded));
        });
}

/// Goes by what is on the host for the project, so that nothing is left that an earlier definition had.
task<> project_manager::implementation::take_down(std::string project, down_options options) {
    co_await parts.records.durable();
    compose::project definition;
    definition.name = project;
    if (const project_record* known = projects.find(project)) {
        definition = whole_of(known->definition);
        if (!options.declared)
            options.declared = declared_volumes(definition);
    }
    down_request wanted{.project = definition,
        .volumes = options.volumes,
        .remove_orphans = options.remove_orphans,
        .declared = options.declared};
    for (const container_view* each : containers.of_project(project))
        if (each->record.one_off)
            wanted.one_offs.push_back(observe(*each));
    const observed_project now = observe_project(project, definition);
    plan steps = plan_down(wanted, now);
    for (const std::string& name : volumes_kept(wanted, now))
        announce_note(project,
            fmt::format("volume \"{0}\" is kept: no service that the file has by now uses it; to remove it "
                        "with its data: compose volume rm {0}",
                name));
    co_await finish(std::move(steps), definition, options.grace);
    const project_record* left = projects.find(project);
    if (left != nullptr && !left->removing)
        co_return; // an `up` that has come meanwhile has made it what is wanted again
    if (containers.of_project(project).empty())
        projects.forget(project);
    else
        projects.empty(project);
    begin_collecting(project);
    auto forget_logs = [kept = containers.runtime().replaced_logs(), project] { kept.forget(project); };
    co_await blocking(parts.on.workers, forget_logs);
    co_await parts.records.durable();
}

/// Also what the last definition has no more: nothing is to be left.
plan project_manager::implementation::plan_to_end(const std::string& project) const {
    compose::project definition;
    definition.name = project;
    if (const project_record* known = projects.find(project))
        definition = whole_of(known->definition);
    std::set<std::string> services;
    for (const auto& [name, service] : definition.services)
        services.insert(name);
    plan steps = plan_stop(definition, observe_project(project, definition), services, false);
    std::set<std::string> planned;
    for (const step& each : steps)
        planned.insert(each.container);
    for (const container_view* each : containers.of_project(project))
        if (is_up(each->state) && !planned.contains(each->record.id))
            steps.push_back({.kind = step_kind::stop_container,
                .name = each->record.name,
                .service = each->record.service,
                .container = each->record.id,
                .reason = "composed goes down"});
    return steps;
}

task<> project_manager::implementation::end_project(
    std::string project, std::chrono::steady_clock::time_point deadline) {
    plan steps = plan_to_end(project);
    std::vector<std::chrono::nanoseconds> graces;
    for (const step& each : steps) {
        const std::chrono::nanoseconds grace = grace_of(containers.find(each.container)->record);
        const bool for_ever = grace < std::chrono::nanoseconds(0);
        graces.push_back(for_ever ? deadline - std::chrono::steady_clock::now() : grace);
    }
    const std::vector<std::chrono::nanoseconds> chains = chains_of(steps, graces);
    std::map<std::string, std::size_t> index_of;
    for (std::size_t index = 0; index < steps.size(); ++index)
        index_of[steps[index].container] = index;
    std::function<task<>(step)> perform = [&](step what) -> task<> {
        const std::size_t index = index_of.at(what.container);
        const auto left = deadline - std::chrono::steady_clock::now();
        try {
            co_await containers.end_for_now(what.container, share_of(graces[index], chains[index], left));
        } catch (const error& failure) {
            spdlog::error("{}", failure.what()); // and what it depends on ends all the same
        }
    };
    std::function<void(const step&)> nothing = [](const step&) {};
    std::function<bool()> never = [] { return false; };
    co_await run_plan(
        parts.on.io, std::move(steps), std::move(perform), std::move(nothing), std::move(never));
}

std::shared_ptr<operation> project_manager::implementation::begin_down(
    const std::string& project, down_options options) {
    projects.forget_up(project);
    return queue.begin(project, operation_kind::down, false,
        [self = shared_from_this(), project, options](
            const std::function<bool()>&) { return self->take_down(project, options); });
}

} // namespace engine
