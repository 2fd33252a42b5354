#include "engine/project/container_manager.hpp"

#include "compose/model/error.hpp"
#include "engine/image/image_store.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/project/launch_builder.hpp"
#include "engine/project/mount_resolver.hpp"
#include "engine/project/naming_files.hpp"
#include "engine/store/store.hpp"
#include "engine/system/file.hpp"
#include "engine/system/identifier.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <utility>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

constexpr auto default_grace = std::chrono::seconds(10); // as Docker's

struct entry {
    container_view view;
    std::optional<health_monitor> health;
    std::unique_ptr<boost::asio::steady_timer> backoff; // while restarting
    bool stopping = false;
};

/// Names of the volumes that its mounts name; anonymous ones are its own.
std::set<std::string> volumes_of(const container_record& record) {
    std::set<std::string> names;
    for (const compose::mount& mount : record.service_definition().mounts)
        if (mount.type == compose::mount_type::volume && !mount.source.empty())
            names.insert(record.definition.volumes.at(mount.source).name);
    return names;
}

} // namespace

struct container_manager::implementation {
    implementation(engine_parts with, runtime_options options, log_options log)
        : parts(with), log_defaults(log), changed(with.on.io),
          runtime(with.on, std::move(options), events()) {}

    runtime_events events();

    entry& at(const std::string& id);
    void save(const entry& of) {
        parts.records.put(table::container, of.view.record.id, encode(of.view.record));
    }
    void begin_run(entry& of);
    void set_state(entry& of, run_state state);
    void announce(const entry& of, std::string status, std::string detail = {}, std::optional<int> code = {});

    task<> run(std::string id);
    task<launch> prepare(std::string id);
    task<std::vector<unique_fd>> connect(std::string id, pid_t shim);
    void on_started(const std::string& id, const start_record& started);
    task<> on_exited(std::string id, exit_record exit);
    void schedule_restart(entry& of, std::chrono::milliseconds delay);
    task<> restart_after(std::string id, std::chrono::milliseconds delay);
    task<> restart_now(std::string id);
    void watch_health(entry& of);
    void settle_after_boot(entry& of);
    task<bool> end_starting(std::string id);

    engine_parts parts;
    log_options log_defaults;
    notifier changed;
    std::map<std::string, std::unique_ptr<entry>> entries; // by id
    std::minstd_rand random{std::random_device{}()};
    const std::string boot = boot_identifier();
    container_runtime runtime;
};

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

entry& container_manager::implementation::at(const std::string& id) {
    const auto found = entries.find(id);
    if (found == entries.end())
        throw error(error_kind::not_found,
            fmt::format("container \"{}\": there is none of that id", id.substr(0, 12)));
    return *found->second;
}

/// Intent first: a run is in the store before anything of it happens.
void container_manager::implementation::begin_run(entry& of) {
    ++of.view.record.generation;
    of.view.record.health = {};
    save(of);
}

void container_manager::implementation::set_state(entry& of, run_state state) {
    of.view.state = state;
    changed.notify_all();
}

void container_manager::implementation::announce(
    const entry& of, std::string status, std::string detail, std::optional<int> code) {
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
    entry& failed = at(id);
    set_state(failed, failed.view.record.started.empty() ? run_state::created : run_state::exited);
    std::rethrow_exception(failure);
}

void container_manager::implementation::on_started(const std::string& id, const start_record& started) {
    if (!entries.contains(id))
        return; // recover() ends it
    entry& of = at(id);
    of.view.run = started;
    of.view.record.started = timestamp(started.started_at);
    of.view.record.boot = boot;
    save(of);
    set_state(of, run_state::running);
    watch_health(of);
}

/// What ran when the host went down is gone, and nobody saw how: the restart policy decides whether it comes
/// back.
void container_manager::implementation::settle_after_boot(entry& of) {
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

void container_manager::implementation::watch_health(entry& of) {
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
            entry& probed = at(id);
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
    entry& of = at(id);
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

void container_manager::implementation::schedule_restart(entry& of, std::chrono::milliseconds delay) {
    spawn(parts.on.io, "restart " + of.view.record.name, restart_after(of.view.record.id, delay));
}

task<> container_manager::implementation::restart_after(std::string id, std::chrono::milliseconds delay) {
    entry& of = at(id);
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
    entry& of = at(id);
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

container_manager::container_manager(engine_parts parts, runtime_options options, log_options log_defaults)
    : implementation_(std::make_shared<implementation>(parts, std::move(options), log_defaults)) {
    for (const record& row : parts.records.load(table::container)) {
        auto loaded = std::make_unique<entry>();
        loaded->view.record = decode_container(row.key, row.value);
        loaded->view.state = loaded->view.record.started.empty() ? run_state::created : run_state::exited;
        implementation_->entries.emplace(row.key, std::move(loaded));
    }
}

container_manager::~container_manager() = default;

task<> container_manager::recover() {
    implementation& self = *implementation_;
    const auto running = co_await self.runtime.recover();
    std::set<std::string> alive;
    for (const auto& [id, run] : running) {
        alive.insert(id);
        const auto found = self.entries.find(id);
        if (found == self.entries.end()) {
            // Its record was never durable, so nobody was told that it runs.
            spdlog::warn("container {}: runs without a record, ended", id.substr(0, 12));
            co_await self.runtime.stop(id, SIGKILL, std::chrono::seconds(1));
            continue;
        }
        entry& of = *found->second;
        of.view.run = run;
        self.set_state(of, run_state::running);
        self.watch_health(of);
    }
    // A shim that has not answered yet holds a run all the same: it keeps its ports, and nobody starts it.
    for (const std::string& id : self.runtime.running())
        if (const auto found = self.entries.find(id); found != self.entries.end() && alive.insert(id).second)
            self.set_state(*found->second, run_state::starting);
    for (const auto& [id, each] : self.entries)
        if (!alive.contains(id))
            self.settle_after_boot(*each);
    for (const std::string& id : self.runtime.on_disk())
        if (!self.entries.contains(id)) // its record went first
            spawn(self.parts.on.io, "remove container " + id.substr(0, 12), self.runtime.remove(id));
    std::map<std::string, std::set<std::string>> holders;
    for (const std::string& id : alive)
        if (const auto found = self.entries.find(id); found != self.entries.end())
            holders.emplace(id, volumes_of(found->second->view.record));
    co_await self.parts.volumes.recover(std::move(holders));
    co_await self.parts.networks.start(std::move(alive));
}

task<std::string> container_manager::create(container_request what) {
    implementation& self = *implementation_;
    const compose::service& service = what.project.services.at(what.service);
    container_record record;
    record.id = random_identifier();
    record.name = container_name_of(what.project, service, what.number);
    if (const container_view* other = find_by_name(record.name))
        throw error(error_kind::conflict,
            fmt::format(
                "container name \"{}\" is in use by a container of project \"{}\"; remove it, or give the "
                "service another container_name",
                record.name, other->record.project));
    const auto picture = self.parts.images.find(service.image);
    if (!picture)
        throw error(error_kind::not_found,
            fmt::format("create container \"{}\": image \"{}\" is not here; pull it or load it", record.name,
                service.image));
    record.project = what.project.name;
    record.service = what.service;
    record.number = what.number;
    record.hash = what.hash;
    record.image = picture->id;
    record.image_reference = service.image;
    record.definition = what.project;
    record.definition.services = {{what.service, service}};
    record.definition.disabled_services.clear();
    record.created = timestamp_now();
    self.parts.networks.reserve(record.id, endpoints_of(what.project, record), service.dns);
    auto fresh = std::make_unique<entry>();
    fresh->view.record = std::move(record);
    self.save(*fresh);
    const std::string id = fresh->view.record.id;
    self.entries.emplace(id, std::move(fresh));
    self.changed.notify_all();
    co_return id;
}

task<> container_manager::start(std::string id, bool carry_on) {
    implementation& self = *implementation_;
    entry& of = self.at(id);
    if (of.view.state == run_state::starting || of.view.state == run_state::running)
        co_return;
    if (of.view.run)
        throw error(error_kind::conflict,
            fmt::format("start container \"{}\": it is being stopped; try again when it has ended",
                of.view.record.name));
    if (of.backoff)
        of.backoff->cancel();
    container_record& record = of.view.record;
    if (!carry_on)
        started_by_hand(record.history);
    record.wanted = true;
    self.begin_run(of);
    std::exception_ptr failure;
    try {
        co_await self.run(id);
        co_return;
    } catch (const error&) {
        failure = std::current_exception();
    }
    entry& failed = self.at(id);
    failed.view.record.wanted = false;
    self.save(failed);
    std::rethrow_exception(failure);
}

task<> container_manager::stop(std::string id, std::optional<std::chrono::nanoseconds> grace) {
    implementation& self = *implementation_;
    entry& of = self.at(id);
    container_record& record = of.view.record;
    record.wanted = false;
    record.history.manually_stopped = true;
    self.save(of);
    if (of.backoff)
        of.backoff->cancel();
    co_await self.parts.records.durable();
    const bool there = co_await self.end_starting(id);
    if (!there)
        co_return;
    if (of.view.state == run_state::restarting)
        self.set_state(of, run_state::exited);
    if (!of.view.run)
        co_return;
    self.set_state(of, run_state::stopping);
    const compose::service& service = record.service_definition();
    const auto picture = self.parts.images.find(record.image);
    const int signal = picture ? stop_signal_of(service, picture->config) : SIGTERM;
    co_await self.runtime.stop(id, signal, grace.value_or(service.stop_grace_period.value_or(default_grace)));
}

task<> container_manager::kill(std::string id, int signal) {
    implementation& self = *implementation_;
    entry& of = self.at(id);
    const compose::service& service = of.view.record.service_definition();
    const auto picture = self.parts.images.find(of.view.record.image);
    const int stop_signal = picture ? stop_signal_of(service, picture->config) : SIGTERM;
    if (counts_as_stop(signal, stop_signal)) {
        of.view.record.wanted = false;
        of.view.record.history.manually_stopped = true;
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
    if (of.view.run && self.runtime.find(id)) // else it is just ending
        self.runtime.signal(id, signal);
}

task<> container_manager::remove(std::string id) {
    implementation& self = *implementation_;
    entry& of = self.at(id);
    if (of.view.run || of.view.state == run_state::starting)
        throw error(error_kind::conflict,
            fmt::format("remove container \"{}\": it runs; stop it first", of.view.record.name));
    if (of.backoff)
        of.backoff->cancel();
    self.parts.records.erase(table::container, id);
    self.parts.networks.release(id);
    self.entries.erase(id);
    self.changed.notify_all();
    co_await self.parts.records.durable();
    co_await self.runtime.remove(id);
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
        return std::tie(a->record.project, a->record.service, a->record.number) <
               std::tie(b->record.project, b->record.service, b->record.number);
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
        if (each->view.record.wanted &&
            (each->view.state == run_state::created || each->view.state == run_state::exited))
            ids.push_back(id);
    return ids;
}

std::set<std::string> container_manager::images_in_use() const {
    std::set<std::string> ids;
    for (const auto& [id, each] : implementation_->entries)
        ids.insert(each->view.record.image);
    return ids;
}

std::set<std::string> container_manager::volumes_in_use() const {
    std::set<std::string> names;
    for (const auto& [id, each] : implementation_->entries)
        names.merge(volumes_of(each->view.record));
    return names;
}

notifier& container_manager::changed() {
    return implementation_->changed;
}

container_runtime& container_manager::runtime() {
    return implementation_->runtime;
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
        .state = view.state,
        .health = observed_health::none,
        .exit_code = std::nullopt};
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
            break;
        }
    }
    return seen;
}

} // namespace engine
