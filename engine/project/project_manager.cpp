#include "engine/project/project_manager.hpp"

#include "compose/model/error.hpp"
#include "engine/image/image_store.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/project/plan_runner.hpp"
#include "engine/project/step_performer.hpp"
#include "engine/store/store.hpp"
#include "engine/system/async_mutex.hpp"
#include "engine/system/identifier.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace engine {

using compose::dependency_condition;
using compose::error;
using compose::error_kind;

namespace {

constexpr std::size_t revisions_kept = 20;

/// Puts the operations of one project in order.
struct lane {
    explicit lane(boost::asio::io_context& io) : turn(io) {}

    async_mutex turn;
    std::uint64_t epoch = 0; // of the newest operation: an older one is superseded
};

using grace_period = std::optional<std::chrono::nanoseconds>;

} // namespace

struct project_manager::implementation : std::enable_shared_from_this<implementation> {
    implementation(engine_parts with, container_manager& all) : parts(with), containers(all) {
        for (const record& row : parts.records.load(table::project))
            projects.emplace(row.key, decode_project(row.key, row.value));
    }

    lane& lane_of(const std::string& project);
    project_record& at(const std::string& project);
    std::set<std::string> check_services(
        const compose::project& project, std::set<std::string> services) const;
    observed_project observe_project(const std::string& name, const compose::project& definition) const;
    void save_revision(compose::project wanted, const up_options& options);
    task<> bring_up_and_forget(compose::project wanted, up_options options, std::function<bool()> superseded);
    void remember_up(const std::string& project, const up_options& options);
    void forget_up(const std::string& project);
    plan plan_for(const compose::project& wanted, const up_options& options,
        std::set<std::string>* services = nullptr) const;
    std::shared_ptr<operation> begin_up(compose::project wanted, up_options options);
    void forget(const std::string& project);

    /// What an operation does once it has its turn; `superseded` tells when a later one has come.
    using work = std::function<task<>(std::function<bool()> superseded)>;
    std::shared_ptr<operation> begin(const std::string& project, work what);
    std::shared_ptr<operation> begin_in_turn(const std::string& project, work what);
    /// One that neither waits for its turn nor takes over from another.
    std::shared_ptr<operation> begin_beside(const std::string& project, std::function<task<>()> what);
    task<> in_turn(std::string project, std::uint64_t epoch, work what);
    static task<> carry_out(
        std::shared_ptr<implementation> self, std::shared_ptr<operation> of, std::function<task<>()> what);

    task<> run(plan steps, compose::project definition, grace_period grace, std::function<bool()> superseded);
    task<> bring_up(compose::project wanted, up_options options, std::function<bool()> superseded);
    task<> take_down(std::string project, down_options options, std::function<bool()> superseded);
    task<> await_all(compose::project wanted, std::set<std::string> services, grace_period limit,
        std::function<bool()> superseded);
    void announce_unchanged(
        const compose::project& wanted, const std::set<std::string>& services, const plan& steps);
    std::shared_ptr<operation> begin_down(const std::string& project, down_options options);

    engine_parts parts;
    container_manager& containers;
    std::map<std::string, project_record> projects;
    std::map<std::string, std::unique_ptr<lane>> lanes;
    std::map<std::string, unsigned> under_way_of; // operations, by project
    std::set<std::string> ups_under_way;          // projects with a record in table::operation
};

lane& project_manager::implementation::lane_of(const std::string& project) {
    std::unique_ptr<lane>& found = lanes[project];
    if (!found)
        found = std::make_unique<lane>(parts.on.io);
    return *found;
}

project_record& project_manager::implementation::at(const std::string& project) {
    const auto found = projects.find(project);
    if (found == projects.end())
        throw error(
            error_kind::not_found, fmt::format("project \"{}\": there is none of that name", project));
    return found->second;
}

std::set<std::string> project_manager::implementation::check_services(
    const compose::project& project, std::set<std::string> services) const {
    if (services.empty())
        for (const auto& [name, service] : project.services)
            services.insert(name);
    for (const std::string& name : services)
        if (!project.services.contains(name))
            throw error(error_kind::not_found,
                fmt::format("no such service: {} in project \"{}\"", name, project.name));
    return services;
}

observed_project project_manager::implementation::observe_project(
    const std::string& name, const compose::project& definition) const {
    observed_project now;
    for (const container_view* each : containers.of_project(name))
        if (!each->record.one_off)
            now.containers.push_back(observe(*each));
    for (const network_record& each : parts.networks.list())
        now.networks.insert(each.definition.name);
    for (const volume_record& each : parts.volumes.list()) {
        now.volumes.insert(each.definition.name);
        if (each.definition.project == name && each.definition.key.empty())
            now.anonymous_volumes.insert(each.definition.name);
    }
    for (const auto& [key, service] : definition.services)
        if (const auto picture = parts.images.find(service.image))
            now.images[service.image] = picture->id;
    return now;
}

/// What an interrupted `up` needs to be carried on by the next daemon. A later one takes its place.
void project_manager::implementation::remember_up(const std::string& project, const up_options& options) {
    ups_under_way.insert(project);
    parts.records.put(table::operation, project, encode(options));
}

void project_manager::implementation::forget_up(const std::string& project) {
    if (ups_under_way.erase(project) > 0)
        parts.records.erase(table::operation, project);
}

void project_manager::implementation::save_revision(compose::project wanted, const up_options& options) {
    const std::string name = wanted.name;
    const auto found = projects.find(name);
    if (found != projects.end() && found->second.definition == wanted && !found->second.removing)
        return;
    remember_up(name, options);
    project_record record{.revision = found == projects.end() ? 1 : found->second.revision + 1,
        .definition = std::move(wanted),
        .created = timestamp_now(),
        .removing = false,
        .remove_volumes = false};
    const std::string text = encode(record);
    parts.records.put(table::project, name, text);
    parts.records.put(table::revision, revision_key(name, record.revision), text);
    if (record.revision > revisions_kept)
        parts.records.erase(table::revision, revision_key(name, record.revision - revisions_kept));
    projects.insert_or_assign(name, std::move(record));
}

void project_manager::implementation::forget(const std::string& project) {
    const std::uint64_t last = at(project).revision;
    for (std::uint64_t number = last > revisions_kept ? last - revisions_kept : 0; number <= last; ++number)
        parts.records.erase(table::revision, revision_key(project, number));
    parts.records.erase(table::project, project);
    projects.erase(project);
}

std::shared_ptr<operation> project_manager::implementation::begin(const std::string& project, work what) {
    forget_up(project);
    return begin_in_turn(project, std::move(what));
}

std::shared_ptr<operation> project_manager::implementation::begin_in_turn(
    const std::string& project, work what) {
    const std::uint64_t epoch = ++lane_of(project).epoch;
    containers.changed().notify_all(); // an older operation that waits sees that it is superseded
    return begin_beside(project, [self = shared_from_this(), project, epoch, what = std::move(what)] {
        return self->in_turn(project, epoch, what);
    });
}

std::shared_ptr<operation> project_manager::implementation::begin_beside(
    const std::string& project, std::function<task<>()> what) {
    auto under_way = std::make_shared<operation>(parts.on.io, project, parts.events.next_sequence());
    ++under_way_of[project];
    spawn(parts.on.io, "project " + project, carry_out(shared_from_this(), under_way, std::move(what)));
    return under_way;
}

task<> project_manager::implementation::in_turn(std::string project, std::uint64_t epoch, work what) {
    lane& mine = lane_of(project);
    const auto turn = co_await mine.turn.lock();
    std::function<bool()> superseded = [&mine, epoch] { return mine.epoch != epoch; };
    if (superseded())
        throw error(
            error_kind::conflict, fmt::format("project \"{}\": another operation has taken over", project));
    co_await what(superseded);
}

task<> project_manager::implementation::carry_out(
    std::shared_ptr<implementation> self, std::shared_ptr<operation> of, std::function<task<>()> what) {
    std::exception_ptr failure;
    try {
        co_await what();
    } catch (...) {
        failure = std::current_exception();
    }
    of->finish(failure);
    if (--self->under_way_of[of->project] == 0)
        self->under_way_of.erase(of->project);
    self->parts.events.wake();
    self->containers.changed().notify_all();
}

task<> project_manager::implementation::run(
    plan steps, compose::project definition, grace_period grace, std::function<bool()> superseded) {
    const auto performer =
        std::make_shared<step_performer>(parts, containers, std::move(definition), grace, superseded);
    std::function<task<>(step)> perform = [performer](
                                              step what) { return performer->perform(std::move(what)); };
    const std::vector<step_failure> failures =
        co_await run_plan(parts.on.io, std::move(steps), std::move(perform), superseded);
    if (!failures.empty())
        std::rethrow_exception(failures.front().why);
    if (superseded())
        throw error(error_kind::conflict, "another operation on the project has taken over");
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

/// `services` gets those that the plan is about.
plan project_manager::implementation::plan_for(
    const compose::project& wanted, const up_options& options, std::set<std::string>* services) const {
    const auto hashes = hashes_of(wanted);
    const std::set<std::string> named = check_services(wanted, options.services);
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
        remember_up(wanted.name, options);
    // What the containers are compared with is known only once their images are here.
    plan pulls;
    for (const step& each : steps)
        if (each.kind == step_kind::pull_image)
            pulls.push_back(each);
    if (!pulls.empty()) {
        co_await run(std::move(pulls), wanted, std::nullopt, superseded);
        steps = plan_for(wanted, options);
    }
    announce_unchanged(wanted, services, steps);
    co_await run(std::move(steps), wanted, std::nullopt, superseded);
    if (options.wait)
        co_await await_all(wanted, services, options.wait_timeout, superseded);
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
        forget_up(name);
    if (failure)
        std::rethrow_exception(failure);
}

std::shared_ptr<operation> project_manager::implementation::begin_up(
    compose::project wanted, up_options options) {
    const std::string name = wanted.name;
    return begin_in_turn(
        name, [self = shared_from_this(), wanted, options](std::function<bool()> superseded) {
            return self->bring_up_and_forget(wanted, options, std::move(superseded));
        });
}

task<> project_manager::implementation::await_all(compose::project wanted, std::set<std::string> services,
    grace_period limit, std::function<bool()> superseded) {
    const auto expired = std::make_shared<bool>(false);
    const auto timer = std::make_shared<boost::asio::steady_timer>(parts.on.io);
    if (limit) {
        timer->expires_after(*limit);
        timer->async_wait([expired, this](boost::system::error_code cancelled) {
            if (cancelled)
                return;
            *expired = true;
            containers.changed().notify_all();
        });
    }
    std::function<bool()> stop = [superseded, expired] { return superseded() || *expired; };
    step_performer waiter(parts, containers, wanted, std::nullopt, stop);
    for (const std::string& name : services) {
        dependency_condition condition = dependency_condition::started;
        for (const container_view* each : containers.of_project(wanted.name))
            if (each->record.service == name && each->health)
                condition = dependency_condition::healthy;
        for (const auto& [other, service] : wanted.services)
            if (const auto found = service.depends_on.find(name);
                found != service.depends_on.end() &&
                found->second.condition == dependency_condition::completed_successfully)
                condition = dependency_condition::completed_successfully;
        std::exception_ptr failure;
        try {
            co_await waiter.await_condition(name, condition);
        } catch (const error&) {
            failure = std::current_exception();
        }
        if (failure && *expired)
            throw error(error_kind::unavailable,
                fmt::format("timeout waiting for service \"{}\" of project \"{}\"", name, wanted.name));
        if (failure)
            std::rethrow_exception(failure);
    }
    timer->cancel();
}

task<> project_manager::implementation::take_down(
    std::string project, down_options options, std::function<bool()> superseded) {
    co_await parts.records.durable();
    const compose::project definition = at(project).definition;
    plan steps = plan_down(definition, observe_project(project, definition), options.volumes);
    co_await run(std::move(steps), definition, options.grace, superseded);
    forget(project);
    co_await parts.records.durable();
}

std::shared_ptr<operation> project_manager::implementation::begin_down(
    const std::string& project, down_options options) {
    return begin(project, [self = shared_from_this(), project, options](std::function<bool()> superseded) {
        return self->take_down(project, options, std::move(superseded));
    });
}

project_manager::project_manager(engine_parts parts, container_manager& containers)
    : implementation_(std::make_shared<implementation>(parts, containers)) {}

project_manager::~project_manager() = default;

void project_manager::recover() {
    implementation& self = *implementation_;
    std::map<std::string, std::set<std::string>> due; // services by project
    for (const std::string& id : self.containers.due()) {
        const container_record& record = self.containers.find(id)->record;
        due[record.project].insert(record.service);
    }
    std::map<std::string, up_options> interrupted;
    for (const record& row : self.parts.records.load(table::operation))
        interrupted.emplace(row.key, decode_up(row.key, row.value));
    // A copy of the names: an operation with nothing left to do ends, and its project with it, at once.
    std::vector<std::string> names;
    names.reserve(self.projects.size());
    for (const auto& [name, project] : self.projects)
        names.push_back(name);
    for (const std::string& name : names) {
        const project_record project = self.at(name);
        if (const auto up = interrupted.find(name); up != interrupted.end() && !project.removing) {
            spdlog::info("project {}: carries on with an interrupted up", name);
            self.ups_under_way.insert(name);
            self.begin_up(project.definition, up->second);
            continue;
        }
        if (project.removing) {
            self.begin_down(name, {.volumes = project.remove_volumes, .grace = std::nullopt});
            continue;
        }
        const auto services = due.find(name);
        if (services == due.end())
            continue;
        self.begin(name, [keep = implementation_, name = name, wanted = services->second](
                             std::function<bool()> superseded) {
            const compose::project definition = keep->at(name).definition;
            plan steps = plan_start(definition, keep->observe_project(name, definition), wanted);
            return keep->run(std::move(steps), definition, std::nullopt, std::move(superseded));
        });
    }
}

task<std::shared_ptr<operation>> project_manager::up(compose::project wanted, up_options options) {
    const auto self = implementation_;
    if (wanted.services.empty())
        throw error(error_kind::invalid, fmt::format("project \"{}\": no service selected", wanted.name));
    self->check_services(wanted, options.services);
    // Nothing may come between: a `down` that ends meanwhile would forget the new definition.
    self->save_revision(wanted, options);
    const std::uint64_t revision = self->at(wanted.name).revision;
    auto under_way = self->begin_up(std::move(wanted), std::move(options));
    under_way->revision = revision;
    co_await self->parts.records.durable();
    co_return under_way;
}

task<std::shared_ptr<operation>> project_manager::down(std::string project, down_options options) {
    const auto self = implementation_;
    project_record& record = self->at(project);
    record.removing = true;
    record.remove_volumes = options.volumes;
    self->parts.records.put(table::project, project, encode(record));
    auto under_way = self->begin_down(project, options);
    co_await self->parts.records.durable();
    co_return under_way;
}

task<std::shared_ptr<operation>> project_manager::start(std::string project, std::set<std::string> services) {
    const auto self = implementation_;
    const compose::project definition = self->at(project).definition;
    services = self->check_services(definition, std::move(services));
    co_return self->begin(project, [self, definition, services](std::function<bool()> superseded) {
        plan steps = plan_start(definition, self->observe_project(definition.name, definition), services);
        return self->run(std::move(steps), definition, std::nullopt, std::move(superseded));
    });
}

task<std::shared_ptr<operation>> project_manager::stop(
    std::string project, std::set<std::string> services, grace_period grace, bool remove) {
    const auto self = implementation_;
    const compose::project definition = self->at(project).definition;
    services = self->check_services(definition, std::move(services));
    co_return self->begin(
        project, [self, definition, services, grace, remove](std::function<bool()> superseded) {
            plan steps =
                plan_stop(definition, self->observe_project(definition.name, definition), services, remove);
            return self->run(std::move(steps), definition, grace, std::move(superseded));
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
    const compose::project definition = self->at(project).definition;
    services = self->check_services(definition, std::move(services));
    co_return self->begin(project, [self, definition, services, grace](std::function<bool()> superseded) {
        std::function<task<>()> end = [self, definition, services, grace, superseded] {
            plan steps =
                plan_stop(definition, self->observe_project(definition.name, definition), services, false);
            return self->run(std::move(steps), definition, grace, superseded);
        };
        std::function<task<>()> begin_again = [self, definition, services, superseded] {
            plan steps = plan_start(definition, self->observe_project(definition.name, definition), services);
            return self->run(std::move(steps), definition, std::nullopt, superseded);
        };
        return stop_and_start(std::move(end), std::move(begin_again));
    });
}

namespace {

task<> kill_all(engine_parts parts, container_manager& containers, std::vector<std::string> ids, int signal) {
    for (const std::string& id : ids) {
        const container_view* each = containers.find(id);
        if (each == nullptr)
            continue;
        event what;
        what.project = each->record.project;
        what.kind = "container";
        what.name = each->record.name;
        what.id = id;
        what.service = each->record.service;
        what.status = "Killing";
        parts.events.add(what);
        co_await containers.kill(id, signal);
        what.status = "Killed";
        parts.events.add(std::move(what));
    }
}

} // namespace

task<std::shared_ptr<operation>> project_manager::kill(
    std::string project, std::set<std::string> services, int signal) {
    const auto self = implementation_;
    const compose::project definition = self->at(project).definition;
    services = self->check_services(definition, std::move(services));
    std::vector<std::string> ids;
    for (const container_view* each : self->containers.of_project(project))
        if (each->run && services.contains(each->record.service))
            ids.push_back(each->record.id);
    // A stop under way, which may wait a minute for what does not want to end, is helped by it.
    co_return self->begin_beside(
        project, [self, ids, signal] { return kill_all(self->parts, self->containers, ids, signal); });
}

task<std::shared_ptr<operation>> project_manager::remove_stopped(
    std::string project, std::set<std::string> services) {
    const auto self = implementation_;
    const compose::project definition = self->at(project).definition;
    services = self->check_services(definition, std::move(services));
    co_return self->begin(project, [self, definition, services](std::function<bool()> superseded) {
        observed_project now = self->observe_project(definition.name, definition);
        std::erase_if(now.containers, [](const observed_container& each) {
            return each.state != run_state::exited && each.state != run_state::created;
        });
        plan steps = plan_stop(definition, now, services, true);
        return self->run(std::move(steps), definition, std::nullopt, std::move(superseded));
    });
}

plan project_manager::preview(const compose::project& wanted, const up_options& options) const {
    return implementation_->plan_for(wanted, options);
}

bool project_manager::busy(const std::string& name) const {
    return implementation_->under_way_of.contains(name);
}

const project_record* project_manager::find(const std::string& name) const {
    const auto found = implementation_->projects.find(name);
    return found == implementation_->projects.end() ? nullptr : &found->second;
}

std::vector<const project_record*> project_manager::list() const {
    std::vector<const project_record*> all;
    for (const auto& [name, record] : implementation_->projects)
        all.push_back(&record);
    return all;
}

std::vector<std::string> project_manager::orphans_of(const compose::project& project) const {
    std::vector<std::string> names;
    for (const container_view* each : implementation_->containers.of_project(project.name))
        if (!each->record.one_off && !project.services.contains(each->record.service))
            names.push_back(each->record.name);
    return names;
}

} // namespace engine
