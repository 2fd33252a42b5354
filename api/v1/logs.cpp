#include "engine/container/logs.hpp"
#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/model/error.hpp"
#include "engine/project/preparations.hpp"
#include "engine/system/identifier.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace api {

namespace json = boost::json;

namespace {

constexpr std::size_t most_queued = 1U << 20U; // bytes, over all containers of a request

/// One container's log on its way.
struct source {
    std::shared_ptr<engine::log_reader> reader;
    bool reading = false;   // or it has come to the end of a run
    std::uint64_t told = 0; // generation of the last run whose end the client knows
};

/// The logs of a project's containers on their way to one client.
struct follower {
    follower(boost::asio::io_context& io, daemon_parts with, engine::log_query how)
        : parts(std::move(with)), wanted(how), changed(io) {}

    daemon_parts parts;
    engine::log_query wanted;
    engine::notifier changed;
    std::map<std::string, source> sources; // by container id
    std::set<std::string> instances;       // of all that were read
    std::deque<std::string> queue;         // lines to send
    std::size_t queued = 0;                // bytes of these
    std::size_t pumping = 0;
    bool stopped = false;
    bool over = false; // it is later than what was asked for

    void send(std::string lines) {
        queued += lines.size();
        queue.push_back(std::move(lines));
        changed.notify_all();
    }

    void finish_all() {
        for (const auto& [id, each] : sources)
            if (each.reading)
                each.reader->finish();
    }
};
using follower_ptr = std::shared_ptr<follower>;

std::string lines_of(
    const engine::container_record& container, const std::vector<engine::log_entry>& entries) {
    std::string lines;
    for (const engine::log_entry& entry : entries) {
        json::object line{{"container", container.name}, {"service", container.service},
            {"number", container.number},
            {"stream", entry.stream == engine::log_stream::out ? "stdout" : "stderr"},
            {"time", engine::timestamp(entry.time)}, {"text", entry.text}};
        lines += line_of(line);
    }
    return lines;
}

/// For those who follow: how a run ended, once.
void tell_exit(follower& to, const std::string& id) {
    const engine::container_view* container = to.parts.containers.find(id);
    source& from = to.sources.at(id);
    if (!to.wanted.follow || container == nullptr || !container->record.exit || container->run)
        return;
    const engine::container_record& record = container->record;
    if (std::exchange(from.told, record.generation) == record.generation)
        return;
    to.send(line_of(json::object{{"container", record.name}, {"service", record.service},
        {"number", record.number}, {"time", record.exit->finished}, {"exit_code", record.exit->code},
        {"restarting", container->state == engine::run_state::restarting}}));
}

engine::task<> pump(
    follower_ptr to, engine::container_record container, std::shared_ptr<engine::log_reader> reader) {
    try {
        for (;;) {
            const std::vector<engine::log_entry> entries = co_await reader->next();
            if (entries.empty() || to->stopped)
                break;
            while (to->queued >= most_queued && !to->stopped)
                co_await to->changed.wait();
            to->send(lines_of(container, entries));
        }
    } catch (const compose::error& failure) {
        // That of a container that was just removed has no more to say.
        if (to->parts.containers.find(container.id) != nullptr)
            spdlog::warn("logs of {}: {}", container.name, failure.what());
    }
    to->sources.at(container.id).reading = false;
    tell_exit(*to, container.id);
    --to->pumping;
    to->changed.notify_all();
}

engine::log_query query_of(const exchange& request) {
    engine::log_query wanted;
    wanted.follow = request.query.flag("follow");
    if (const auto tail = request.query.number("tail"))
        wanted.tail = static_cast<std::size_t>(*tail);
    wanted.since = request.query.time("since");
    wanted.until = request.query.time("until");
    return wanted;
}

bool is_active(const engine::container_view& container) {
    return container.state != engine::run_state::exited && container.state != engine::run_state::created;
}

/// The log of the container that this one has taken the place of, unless the client has had it already.
std::filesystem::path former_of(const follower_ptr& to, const engine::container_record& record) {
    const std::string instance = engine::instance_of(record);
    if (!to->instances.insert(instance).second)
        return {};
    return to->parts.containers.runtime().replaced_logs().find(record.project, instance);
}

void begin_reading(const follower_ptr& to, const engine::container_record& record) {
    source& from = to->sources[record.id];
    if (!from.reader)
        from.reader = std::make_shared<engine::log_reader>(to->parts.engine.on,
            to->parts.containers.runtime().log_file(record.id), to->wanted, former_of(to, record));
    from.reading = true;
    ++to->pumping;
    engine::spawn(to->parts.engine.on.io, "logs of " + record.name, pump(to, record, from.reader));
}

/// Looks at a container that has run: reads what it writes, and tells how its runs end.
void look_at(const follower_ptr& to, const engine::container_view& container) {
    const engine::container_record& record = container.record;
    const auto known = to->sources.find(record.id);
    if (known == to->sources.end()) {
        begin_reading(to, record);
        // An end before the time that the client asks from is none of its business.
        const bool old = record.exit && !container.run &&
                         (!to->wanted.since || record.exit->finished < engine::timestamp(*to->wanted.since));
        to->sources.at(record.id).told = old ? record.generation : record.generation - 1;
    } else if (container.run) {
        known->second.reader
            ->go_on(); // from where it was: a run's lines may be older than its start is known
        if (!known->second.reading)
            begin_reading(to, record);
    }
    if (container.state == engine::run_state::restarting)
        tell_exit(*to, record.id);
    else if (container.state == engine::run_state::exited && to->sources.at(record.id).reading)
        to->sources.at(record.id).reader->finish();
}

/// The logs of steps of pre_start that have ended well, whose containers are gone.
void look_at_steps(
    const follower_ptr& to, const std::string& project, const std::set<std::string>& services) {
    const engine::project_record* known = to->parts.projects.find(project);
    if (known == nullptr)
        return;
    engine::log_query whole = to->wanted;
    whole.follow = false;
    for (const auto& [name, service] : known->definition.services)
        for (unsigned step = 0; step < service.pre_start.size(); ++step)
            for (unsigned number = 1; number <= (service.pre_start[step].per_replica ? service.scale : 1);
                 ++number) {
                engine::container_record record;
                record.id = engine::instance_of_step(service, step, number);
                record.name = fmt::format("{}-{}", project, record.id);
                record.service = name;
                const bool shown = services.empty() || services.contains(name);
                const auto file = to->parts.containers.runtime().replaced_logs().find(project, record.id);
                if (!shown || file.empty() || to->parts.containers.find_by_name(record.name) != nullptr)
                    continue;
                source& from = to->sources[record.id];
                from.reader = std::make_shared<engine::log_reader>(to->parts.engine.on, file, whole);
                from.reading = true;
                ++to->pumping;
                engine::spawn(
                    to->parts.engine.on.io, "logs of " + record.name, pump(to, record, from.reader));
            }
}

/// One that `run` has made: Docker Compose leaves it out, and it is shown to who names the container.
bool is_of_run(const engine::container_record& record) {
    return record.one_off && record.prepares.empty();
}

/// By its name, or its id, of which the twelve digits that `ps -q` and a host name show are enough.
bool is_called(const engine::container_record& record, std::string_view name) {
    constexpr std::size_t shown_digits = 12;
    return record.name == name || (name.size() >= shown_digits && record.id.starts_with(name));
}

bool is_wanted(const engine::container_record& record, const std::set<std::string>& named) {
    if (is_of_run(record))
        return std::any_of(
            named.begin(), named.end(), [&](const std::string& name) { return is_called(record, name); });
    return named.empty() || named.contains(record.service);
}

/// Looks at every container that matches. True while one of them may still write.
bool look(const follower_ptr& to, const std::string& project, const std::set<std::string>& services) {
    bool active = false;
    for (const auto& [id, each] : to->sources) // of those that were removed before their end was seen
        if (each.reading && to->parts.containers.find(id) == nullptr)
            each.reader->finish();
    for (const engine::container_view* each : to->parts.containers.of_project(project)) {
        if (!is_wanted(each->record, services))
            continue;
        active = active || is_active(*each);
        if (!each->record.started.empty())
            look_at(to, *each);
    }
    return active;
}

/// Looks again whenever a container changes, and ends the readers when none can write any more.
engine::task<> watch(follower_ptr to, std::string project, std::set<std::string> services) {
    while (!to->stopped) {
        const bool active = look(to, project, services);
        if (to->over || (!active && !to->parts.projects.busy(project)))
            break;
        co_await to->parts.containers.changed().wait();
    }
    to->finish_all();
    --to->pumping;
    to->changed.notify_all();
}

/// Nobody may have anything to say after that, which would end it too.
void end_at(
    const follower_ptr& to, boost::asio::steady_timer& clock, std::chrono::system_clock::time_point until) {
    const auto left =
        std::max<std::chrono::nanoseconds>(until - std::chrono::system_clock::now(), std::chrono::seconds(0));
    clock.expires_after(std::min<std::chrono::nanoseconds>(left, std::chrono::hours(24 * 365)));
    clock.async_wait([to](boost::system::error_code cancelled) {
        if (cancelled)
            return;
        to->over = true;
        to->finish_all();
        to->parts.containers.changed().notify_all();
    });
}

engine::task<> logs(exchange& request, daemon_parts parts) {
    const std::string project = request.parameters.at("project");
    const std::set<std::string> services = request.query.list("services");
    const engine::project_record* known = parts.projects.find(project);
    if (known == nullptr)
        throw compose::error(compose::error_kind::not_found,
            fmt::format("project \"{}\": there is none of that name", project));
    for (const std::string& name : services) {
        const std::vector<const engine::container_view*> all = parts.containers.of_project(project);
        const bool is_run = std::any_of(all.begin(), all.end(), [&](const engine::container_view* each) {
            return is_of_run(each->record) && is_called(each->record, name);
        });
        if (!is_run && !known->definition.services.contains(name) &&
            !known->definition.disabled_services.contains(name))
            throw compose::error(compose::error_kind::not_found, fmt::format("no such service: {}", name));
    }
    const engine::log_query wanted = query_of(request);
    const auto to = std::make_shared<follower>(parts.engine.on.io, parts, wanted);
    co_await request.begin_stream(json_lines);
    request.on_close([to] {
        to->stopped = true;
        to->finish_all();
        to->changed.notify_all();
        to->parts.containers.changed().notify_all();
    });
    boost::asio::steady_timer clock(parts.engine.on.io);
    look_at_steps(to, project, services);
    if (wanted.follow && wanted.until)
        end_at(to, clock, *wanted.until);
    if (wanted.follow) {
        ++to->pumping;
        engine::spawn(parts.engine.on.io, "logs of " + project, watch(to, project, services));
    } else {
        look(to, project, services);
    }
    while (!request.closed()) {
        if (!to->queue.empty()) {
            std::string lines = std::move(to->queue.front());
            to->queue.pop_front();
            to->queued -= lines.size();
            to->changed.notify_all();
            co_await request.write(std::move(lines));
        } else if (to->pumping == 0) {
            break;
        } else {
            co_await to->changed.wait();
        }
    }
    to->stopped = true;
    to->finish_all();
    to->changed.notify_all();
}

} // namespace

void add_log_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/projects/{project}/logs",
        [parts](exchange& request) { return logs(request, parts); });
}

} // namespace api
