#include "engine/container/logs.hpp"
#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/model/error.hpp"
#include "engine/system/identifier.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <deque>
#include <map>

namespace api {

namespace json = boost::json;

namespace {

constexpr std::size_t most_queued = 256; // batches, over all containers of a request

/// The logs of a project's containers on their way to one client.
struct follower {
    follower(boost::asio::io_context& io, daemon_parts with) : parts(std::move(with)), changed(io) {}

    daemon_parts parts;
    engine::notifier changed;
    std::map<std::string, std::shared_ptr<engine::log_reader>> readers; // by container id
    std::deque<std::string> queue;                                      // lines to send
    std::size_t pumping = 0;
    bool stopped = false;

    void finish_all() {
        for (const auto& [id, reader] : readers)
            reader->finish();
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

engine::task<> pump(
    follower_ptr to, engine::container_record container, std::shared_ptr<engine::log_reader> reader) {
    try {
        for (;;) {
            const std::vector<engine::log_entry> entries = co_await reader->next();
            if (entries.empty() || to->stopped)
                break;
            while (to->queue.size() >= most_queued && !to->stopped)
                co_await to->changed.wait();
            to->queue.push_back(lines_of(container, entries));
            to->changed.notify_all();
        }
    } catch (const compose::error&) {
        // The log of a container that was just removed: it has no more to say.
    }
    --to->pumping;
    to->changed.notify_all();
}

engine::log_query query_of(const exchange& request) {
    engine::log_query wanted;
    wanted.follow = request.query.flag("follow");
    if (const auto tail = request.query.number("tail"))
        wanted.tail = static_cast<std::size_t>(*tail);
    const auto time = [&](const std::string& name) -> std::optional<std::chrono::system_clock::time_point> {
        const auto seconds = request.query.number(name);
        if (!seconds)
            return std::nullopt;
        return std::chrono::system_clock::time_point(std::chrono::seconds(*seconds));
    };
    wanted.since = time("since");
    wanted.until = time("until");
    return wanted;
}

bool is_active(const engine::container_view& container) {
    return container.state != engine::run_state::exited && container.state != engine::run_state::created;
}

/// Begins to read every container that matches and is not read yet. True while one of them may still write.
bool look(const follower_ptr& to, const std::string& project, const std::set<std::string>& services,
    const engine::log_query& wanted) {
    bool active = false;
    for (const engine::container_view* each : to->parts.containers.of_project(project)) {
        const engine::container_record& record = each->record;
        if (!services.empty() && !services.contains(record.service))
            continue;
        active = active || is_active(*each);
        if (record.started.empty() || to->readers.contains(record.id))
            continue;
        const auto reader = std::make_shared<engine::log_reader>(
            to->parts.engine.on, to->parts.containers.runtime().log_file(record.id), wanted);
        to->readers.emplace(record.id, reader);
        ++to->pumping;
        engine::spawn(to->parts.engine.on.io, "logs of " + record.name, pump(to, record, reader));
    }
    return active;
}

/// Looks again whenever a container changes, and ends the readers when none can write any more.
engine::task<> watch(
    follower_ptr to, std::string project, std::set<std::string> services, engine::log_query wanted) {
    while (!to->stopped) {
        if (!look(to, project, services, wanted))
            break;
        co_await to->parts.containers.changed().wait();
    }
    to->finish_all();
    --to->pumping;
    to->changed.notify_all();
}

engine::task<> logs(exchange& request, daemon_parts parts) {
    const std::string project = request.parameters.at("project");
    const std::set<std::string> services = request.query.list("services");
    const engine::project_record* known = parts.projects.find(project);
    if (known == nullptr)
        throw compose::error(compose::error_kind::not_found,
            fmt::format("project \"{}\": there is none of that name", project));
    for (const std::string& service : services)
        if (!known->definition.services.contains(service))
            throw compose::error(compose::error_kind::not_found, fmt::format("no such service: {}", service));
    const engine::log_query wanted = query_of(request);
    const auto to = std::make_shared<follower>(parts.engine.on.io, parts);
    co_await request.begin_stream(json_lines);
    request.on_close([to] {
        to->stopped = true;
        to->finish_all();
        to->changed.notify_all();
        to->parts.containers.changed().notify_all();
    });
    if (wanted.follow) {
        ++to->pumping;
        engine::spawn(parts.engine.on.io, "logs of " + project, watch(to, project, services, wanted));
    } else {
        look(to, project, services, wanted);
    }
    while (!request.closed()) {
        if (!to->queue.empty()) {
            std::string lines = std::move(to->queue.front());
            to->queue.pop_front();
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
