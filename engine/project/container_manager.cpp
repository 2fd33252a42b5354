#include "engine/project/container_manager.hpp"

#include "compose/model/error.hpp"
#include "engine/project/container_life.hpp"
#include "engine/project/container_manager_state.hpp"
#include "engine/project/definitions.hpp"
#include "engine/project/mount_resolver.hpp"
#include "engine/project/naming_files.hpp"
#include "engine/system/crash_point.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <tuple>
#include <utility>

namespace engine {

using compose::error;
using compose::error_kind;

/// Names of the volumes that it has or will have.
std::set<std::string> volumes_of(const container_record& record) {
    std::set<std::string> names = record.volumes;
    for (const compose::mount& mount : record.service_definition().mounts)
        if (mount.type == compose::mount_type::volume && !mount.source.empty())
            names.insert(record.definition.volumes.at(mount.source).name);
    return names;
}

container_manager::container_manager(engine_parts parts, runtime_options options, log_options log_defaults)
    : implementation_(std::make_shared<implementation>(parts, std::move(options), log_defaults)) {
    for (const record& row : parts.records.load(table::container)) {
        auto loaded = std::make_unique<managed_container>();
        loaded->view.record = decode_container(row.key, row.value);
        loaded->view.state = loaded->view.record.started.empty() ? run_state::created : run_state::exited;
        implementation_->entries.emplace(row.key, std::move(loaded));
    }
}

container_manager::~container_manager() = default;

/// What runs now, with its shim; 0: of one that has not answered yet.
std::map<std::string, pid_t> container_manager::implementation::alive() const {
    std::map<std::string, pid_t> found;
    for (const auto& [id, each] : entries)
        if (each->view.run)
            found.emplace(id, each->view.run->shim);
    for (const std::string& id : runtime.running())
        found.emplace(id, 0);
    return found;
}

/// Any container may end at any of the waits in here.
task<> container_manager::recover() {
    implementation& self = *implementation_;
    const auto running = co_await self.runtime.recover();
    for (const auto& [id, run] : running) {
        const auto found = self.entries.find(id);
        if (found == self.entries.end()) {
            // Its record was never durable, so nobody was told that it runs.
            spdlog::warn("container {}: runs without a record, ended", id.substr(0, 12));
            co_await self.runtime.stop(id, SIGKILL, std::chrono::seconds(1));
            continue;
        }
        managed_container& of = *found->second;
        if (!of.view.run)
            continue;                                                           // it has ended since
        self.runtime.accept_clients(id, !self.parts.networks.is_held_back(id)); // as its record says
        co_await self.recover_pause(id);
        if (of.view.state == run_state::running)
            self.watch_health(of);
    }
    // A shim that has not answered yet holds a run all the same: it keeps its ports, and nobody starts it.
    for (const std::string& id : self.runtime.running())
        if (const auto found = self.entries.find(id); found != self.entries.end() && !found->second->view.run)
            self.set_state(*found->second, run_state::starting);
    const auto alive = self.alive();
    for (const auto& [id, each] : self.entries)
        if (!alive.contains(id))
            if (host_came_back(each->view.record, std::chrono::system_clock::now(), self.boot))
                self.save(*each);
    for (const container_view* each : all()) // a copy: some of them go
        if (each->record.one_off && !alive.contains(each->record.id))
            self.recover_one_off(self.at(each->record.id));
    for (const std::string& id : self.runtime.on_disk())
        if (!self.entries.contains(id)) // its record went first
            spawn(self.parts.on.io, "remove container " + id.substr(0, 12), self.runtime.remove(id));
    std::map<std::string, std::set<std::string>> holders;
    for (const auto& [id, shim] : alive)
        if (const auto found = self.entries.find(id); found != self.entries.end())
            holders.emplace(id, volumes_of(found->second->view.record));
    co_await self.parts.volumes.recover(std::move(holders));
    co_await self.parts.networks.start(self.alive());
    co_await self.parts.networks.remove_if_idle(default_bridge().name);
    self.recovered = true;
    self.changed.notify_all();
}

namespace {

void begin_one_off(container_record& record, const compose::project& project, const one_off_request& asked) {
    constexpr std::size_t digits = 12;
    record.one_off = true;
    record.number = 0;
    record.auto_remove = asked.auto_remove;
    record.slug = random_identifier().substr(0, digits);
    record.prepares = asked.prepares;
    record.step = asked.step;
    record.name = asked.name.empty() ? fmt::format("{}-{}-run-{}", project.name, record.service, record.slug)
                                     : asked.name;
}

bool is_on_default_bridge(const compose::project& project, const compose::service& service) {
    const std::string name = default_bridge().name;
    return service.network_mode == "bridge" ||
           std::any_of(service.networks.begin(), service.networks.end(),
               [&](const auto& each) { return project.networks.at(each.first).name == name; });
}

/// Who asks for the service is not to be led to it.
void keep_own_names(attachment_request& names, const container_record& record) {
    for (endpoint_request& each : names.endpoints)
        each.aliases = {record.name, record.id.substr(0, 12)};
}

} // namespace

task<std::string> container_manager::create(container_request what) {
    implementation& self = *implementation_;
    const compose::service& service = what.project.services.at(what.service);
    if (is_on_default_bridge(what.project, service)) {
        network_definition shared = default_bridge();
        co_await self.parts.networks.ensure(std::move(shared));
    }
    container_record record;
    record.id = random_identifier();
    record.service = what.service;
    record.name = container_name_of(what.project, service, what.number);
    record.number = what.number;
    if (!what.replaces.empty()) {
        record.place = container_place::coming;
        record.replaces = what.replaces;
        record.name = name_beside(what.replaces, record.name);
    }
    if (what.one_off)
        begin_one_off(record, what.project, *what.one_off);
    if (const container_view* other = find_by_name(record.name))
        throw error(error_kind::conflict,
            fmt::format("container name \"{}\" is in use by service \"{}\" of project \"{}\"; {}, or give "
                        "the service another container_name",
                record.name, other->record.service, other->record.project,
                other->record.project == what.project.name
                    ? "if that service is no longer in the file, remove its container with: compose up "
                      "--remove-orphans"
                    : "remove that container"));
    const auto picture = self.parts.images.find(what.image.empty() ? service.image : what.image);
    if (!picture)
        throw error(error_kind::not_found,
            fmt::format("create container \"{}\": image \"{}\" is not here; pull it or load it", record.name,
                service.image));
    record.project = what.project.name;
    record.hash = what.hash;
    record.image = picture->id;
    record.image_reference = service.image;
    record.definition = what.project;
    record.definition.services = {{what.service, service}};
    record.definition.disabled_services.clear();
    record.created = timestamp_now();
    for (const wanted_mount& each : own_mounts(self.parts.volumes, record, picture->config))
        if (!each.volume.empty())
            record.volumes.insert(each.volume);
    attachment_request names = attachment_of(what.project, record);
    if (what.one_off && !what.one_off->use_aliases)
        keep_own_names(names, record);
    names.held_back = record.place == container_place::coming;
    self.parts.networks.reserve(record.id, std::move(names));
    auto fresh = std::make_unique<managed_container>();
    fresh->view.record = std::move(record);
    self.save(*fresh);
    const std::string id = fresh->view.record.id;
    self.entries.emplace(id, std::move(fresh));
    self.happened(self.at(id), "create");
    crash_point("create: its record and addresses are there");
    self.changed.notify_all();
    co_return id;
}

task<> container_manager::change_limits(std::string id, compose::limits limits) {
    implementation& self = *implementation_;
    // Not durable before it is done: an `up` that is cut short does it again.
    const compose::limits before = self.at(id).view.record.service_definition().limit;
    co_await self.runtime.change_limits(id, before, limits);
    container_record& record = self.at(id).view.record;
    record.definition.services.at(record.service).limit = limits;
    self.save(self.at(id));
}

task<> container_manager::start(std::string id, bool carry_on) {
    implementation& self = *implementation_;
    managed_container& of = self.at(id);
    if (of.view.state == run_state::starting || of.view.state == run_state::running ||
        of.view.state == run_state::paused)
        co_return;
    if (self.closed)
        throw error(error_kind::unavailable,
            fmt::format("start container \"{}\": composed is going down", of.view.record.name));
    if (of.view.run)
        throw error(error_kind::conflict,
            fmt::format("start container \"{}\": it is being stopped; try again when it has ended",
                of.view.record.name));
    if (of.copies > 0)
        throw error(error_kind::conflict,
            fmt::format("start container \"{}\": files are being copied; try again when that has ended",
                of.view.record.name));
    if (of.backoff)
        of.backoff->cancel();
    container_record& record = of.view.record;
    const bool again = record.comes_again;
    if (carry_on)
        record.wanted = true;
    else
        wanted_by_hand(record);
    of.until_it_runs = carry_on;
    self.begin_run(of);
    std::exception_ptr failure;
    std::string why;
    try {
        co_await self.run(id);
    } catch (const error& thrown) {
        failure = std::current_exception();
        why = thrown.what();
    }
    if (!failure && again && self.entries.contains(id))
        self.happened(self.at(id), "restart");
    if (!failure)
        co_return;
    managed_container& failed = self.at(id);
    if (carry_on && failed.view.record.wanted) {
        self.start_failed(failed, why); // at boot a disk may come late
        co_return;
    }
    failed.view.record.wanted = false;
    self.save(failed);
    std::rethrow_exception(failure);
}

task<> container_manager::stop(std::string id, std::optional<std::chrono::nanoseconds> grace) {
    implementation& self = *implementation_;
    managed_container& of = self.at(id);
    container_record& record = of.view.record;
    stopped_by_hand(record);
    self.save(of);
    if (of.backoff)
        of.backoff->cancel();
    crash_point("stop: it is no longer wanted");
    co_await self.parts.records.durable();
    crash_point("stop: that is durable");
    const bool there = co_await self.end_starting(id);
    if (!there)
        co_return;
    if (of.view.state == run_state::restarting)
        self.set_state(of, run_state::exited);
    if (of.view.run)
        self.set_state(of, run_state::stopping);
    co_await self.end_run(id, grace.value_or(grace_of(record)));
}

task<> container_manager::end_to_restart(std::string id, std::optional<std::chrono::nanoseconds> grace) {
    implementation& self = *implementation_;
    managed_container& of = self.at(id);
    of.view.record.wanted = true;
    of.view.record.comes_again = true;
    of.view.record.paused = false;
    self.save(of);
    if (of.backoff)
        of.backoff->cancel();
    co_await self.parts.records.durable();
    co_await end_for_now(id, grace.value_or(grace_of(self.at(id).view.record)));
}

void container_manager::give_up(const std::string& id) {
    implementation& self = *implementation_;
    managed_container& of = self.at(id);
    if (!is_due(of.view))
        return;
    of.view.record.wanted = false;
    self.save(of);
}

void container_manager::followed(const std::string& id, std::uint64_t generation) {
    const auto found = implementation_->entries.find(id);
    if (found == implementation_->entries.end())
        return;
    container_record& record = found->second->view.record;
    if (!record.follow_due || record.generation != generation)
        return; // it has ended once more meanwhile
    record.follow_due = false;
    implementation_->save(*found->second);
}

void container_manager::prepared(const std::string& id, unsigned steps) {
    managed_container& of = implementation_->at(id);
    of.view.record.prepared = steps;
    implementation_->save(of);
}

void container_manager::close() {
    implementation_->closed = true;
    implementation_->changed.notify_all();
}

bool container_manager::closed() const {
    return implementation_->closed;
}

task<> container_manager::end_for_now(std::string id, std::chrono::nanoseconds grace) {
    implementation& self = *implementation_;
    const bool there = co_await self.end_starting(id);
    if (!there)
        co_return;
    managed_container& of = self.at(id);
    if (of.view.state == run_state::restarting)
        self.set_state(of, run_state::exited);
    if (of.view.run)
        self.set_state(of, run_state::stopping);
    co_await self.end_run(id, grace);
}

task<> container_manager::kill(std::string id, int signal) {
    implementation& self = *implementation_;
    managed_container& of = self.at(id);
    const compose::service& service = of.view.record.service_definition();
    const auto picture = self.parts.images.find(of.view.record.image);
    const int stop_signal = picture ? stop_signal_of(service, picture->config) : SIGTERM;
    if (counts_as_stop(signal, stop_signal)) {
        stopped_by_hand(of.view.record);
        self.save(of);
        if (of.backoff)
            of.backoff->cancel();
        co_await self.parts.records.durable();
        const bool there = co_await self.end_starting(id);
        if (!there)
            co_return;
        if (of.view.state == run_state::restarting)
            self.set_state(of, run_state::exited);
    }
    if (!of.view.run || !self.runtime.find(id)) // it is just ending
        co_return;
    self.happened(of, "kill", {{"signal", std::to_string(signal)}});
    self.runtime.signal(id, signal);
    if (of.view.state != run_state::paused || !counts_as_stop(signal, stop_signal))
        co_return;
    self.set_state(of, run_state::running);
    co_await self.runtime.pause(id, false); // a frozen process does not hear it
}

task<> container_manager::remove(std::string id, bool anonymous) {
    return anonymous ? implementation_->remove_with_volumes(std::move(id))
                     : implementation_->remove(std::move(id));
}

const container_view* container_manager::find(const std::string& id) const {
    const auto found = implementation_->entries.find(id);
    return found == implementation_->entries.end() ? nullptr : &found->second->view;
}

const container_view* container_manager::find_by_name(const std::string& name) const {
    for (const auto& [id, each] : implementation_->entries)
        if (each->view.record.name == name)
            return &each->view;
    return nullptr;
}

std::vector<const container_view*> container_manager::all() const {
    std::vector<const container_view*> found;
    for (const auto& [id, each] : implementation_->entries)
        found.push_back(&each->view);
    std::sort(found.begin(), found.end(), [](const container_view* a, const container_view* b) {
        return std::tie(a->record.project, a->record.service, a->record.number, a->record.place) <
               std::tie(b->record.project, b->record.service, b->record.number, b->record.place);
    });
    return found;
}

std::vector<const container_view*> container_manager::of_project(const std::string& project) const {
    std::vector<const container_view*> found = all();
    std::erase_if(found, [&](const container_view* each) { return each->record.project != project; });
    return found;
}

std::vector<std::string> container_manager::due() const {
    std::vector<std::string> ids;
    for (const auto& [id, each] : implementation_->entries)
        if (is_due(each->view))
            ids.push_back(id);
    return ids;
}

std::set<std::string> container_manager::images_in_use() const {
    std::set<std::string> ids;
    for (const auto& [id, each] : implementation_->entries) {
        const container_record& record = each->view.record;
        ids.insert(record.image);
        for (const auto& [reference, mounted] : record.mounted_images)
            ids.insert(mounted);
        for (const compose::mount& mount : record.service_definition().mounts)
            if (mount.type == compose::mount_type::image)
                if (const auto picture = implementation_->parts.images.find(mount.source))
                    ids.insert(picture->id);
    }
    return ids;
}

std::set<std::string> container_manager::volumes_in_use() const {
    return implementation_->volumes_in_use();
}

void container_manager::on_restarted(std::function<void(const container_record&)> told) {
    implementation_->restarted = std::move(told);
}

notifier& container_manager::changed() {
    return implementation_->changed;
}

container_runtime& container_manager::runtime() {
    return implementation_->runtime;
}

bool is_due(const container_view& view) {
    return view.record.wanted && (view.state == run_state::created || view.state == run_state::exited);
}

event event_about(const container_record& of) {
    event what;
    what.project = of.project;
    what.kind = "container";
    what.name = of.name;
    what.id = of.id;
    what.service = of.service;
    what.one_off = of.one_off;
    return what;
}

observed_container observe(const container_view& view) {
    observed_container seen{.id = view.record.id,
        .name = view.record.name,
        .service = view.record.service,
        .number = view.record.number,
        .hash = view.record.hash,
        .image = view.record.image,
        .definition = &view.record.service_definition(),
        .networks = {},
        .volumes = volumes_of(view.record),
        .mounted_images = view.record.mounted_images,
        .state = view.state,
        .due = is_due(view),
        .hooks_due = hooks_run(view),
        .health = observed_health::none,
        .exit_code = std::nullopt,
        .place = view.record.place,
        .replaces = view.record.replaces};
    for (const auto& [key, how] : view.record.service_definition().networks)
        seen.networks.insert(view.record.definition.networks.at(key).name);
    if (view.record.exit)
        seen.exit_code = view.record.exit->code;
    if (view.health) {
        switch (view.health->status()) {
        case health_status::none:
            break;
        case health_status::starting:
            seen.health = observed_health::starting;
            break;
        case health_status::healthy:
            seen.health = observed_health::healthy;
            break;
        case health_status::unhealthy:
            seen.health = observed_health::unhealthy;
            seen.illness = last_failure(*view.health);
            break;
        }
    }
    return seen;
}

} // namespace engine
