#include "api/http/frames.hpp"
#include "api/v1/relay.hpp"
#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/model/error.hpp"
#include "engine/project/launch_builder.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <chrono>

namespace api {

namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

constexpr auto settle = std::chrono::seconds(3); // output ends a little before the end is told

std::uint16_t size_in(const exchange& request, const std::string& name) {
    return static_cast<std::uint16_t>(std::min(request.query.number(name).value_or(0), 0xFFFFL));
}

relay::controls controls_of(
    const daemon_parts& parts, const std::string& id, std::shared_ptr<engine::run_end> end) {
    return {.resize =
                [parts, id](std::uint16_t rows, std::uint16_t columns) {
                    if (parts.containers.runtime().find(id))
                        parts.containers.runtime().resize(id, rows, columns);
                },
        .signal =
            [parts, id](int number) {
                if (parts.containers.find(id) != nullptr)
                    engine::spawn(parts.engine.on.io, "signal " + id, parts.containers.kill(id, number));
            },
        .gone = [end] { end->changed.notify_all(); }};
}

/// What a post_start hook could not do, to who has started it and goes on with it.
engine::task<> tell_failed_hook(
    daemon_parts parts, std::string id, std::shared_ptr<relay> through, std::string end_of_line) {
    const std::string why = co_await parts.containers.failed_hook(id);
    if (!why.empty())
        through->tell(fmt::format("composed: {}{}", why, end_of_line));
}

/// Until the run has ended, or the client has gone, or its streams were cut off.
engine::task<> await_end(const relay& through, engine::run_end& end) {
    std::optional<std::chrono::steady_clock::time_point> cut_off;
    while (!end.done && !through.client_gone()) {
        if (through.output_ended() && !cut_off)
            cut_off = std::chrono::steady_clock::now() + settle;
        if (cut_off && std::chrono::steady_clock::now() >= *cut_off)
            co_return;
        co_await end.changed.wait_for(settle);
    }
}

engine::task<> attach(exchange& request, daemon_parts parts) {
    constexpr std::size_t most = 1U << 10U;
    co_await request.body(most); // it has none to speak of, and what follows is not HTTP
    const engine::container_record record = container_of(request, parts).record;
    const bool start = request.query.flag("start");
    engine::attach_request wants{.input = request.query.flag("stdin"),
        .output = true,
        .error = !record.service_definition().tty,
        .hold = start};
    const std::shared_ptr<engine::run_end> end = parts.containers.watch_end(record.id);
    if (start) // else once it is known to run
        parts.containers.tell(record.id, "attach");
    engine::stream_set streams;
    std::exception_ptr failure;
    try {
        if (start)
            streams = co_await parts.containers.start_attached(
                record.id, wants, size_in(request, "rows"), size_in(request, "columns"));
        else
            streams = co_await parts.containers.runtime().attach(record.id, wants);
        if (!start)
            parts.containers.tell(record.id, "attach");
    } catch (const error&) {
        failure = std::current_exception();
    }
    if (failure && start && record.auto_remove && parts.containers.find(record.id) != nullptr)
        co_await parts.containers.remove(record.id, true);
    if (failure)
        std::rethrow_exception(failure);
    raw_connection* connection = co_await request.upgrade("composed-exec");
    const auto through = std::make_shared<relay>(
        parts.engine.on.io, std::move(streams), *connection, controls_of(parts, record.id, end));
    through->begin();
    if (start)
        engine::spawn(parts.engine.on.io, "hooks of " + record.name,
            tell_failed_hook(parts, record.id, through, record.service_definition().tty ? "\r\n" : "\n"));
    co_await await_end(*through, *end);
    if (!end->done) {
        co_await through->finish(frame_type::error,
            fmt::format("composed: container {} wrote faster than this was read: its output is cut off "
                        "here; see: compose logs\n",
                record.name));
        co_return;
    }
    json::object last;
    last["exit_code"] = end->exit.code;
    co_await through->finish(frame_type::exit, json::serialize(last));
}

/// A line once its run has ended; one that does not run, and is not about to, has ended already.
engine::task<> wait(exchange& request, daemon_parts parts) {
    const std::string& wanted = request.parameters.at("container");
    std::optional<engine::last_exit> exit = parts.containers.exit_of_removed(wanted);
    std::shared_ptr<engine::run_end> end;
    if (!exit) {
        const engine::container_view& container = container_of(request, parts);
        exit = container.record.exit.value_or(engine::last_exit{});
        if (container.run || container.state == engine::run_state::starting ||
            container.state == engine::run_state::restarting || engine::is_due(container))
            end = parts.containers.watch_end(container.record.id);
    }
    co_await request.begin_stream(json_lines);
    if (end) {
        request.on_close([end] { end->changed.notify_all(); });
        while (!end->done && !request.closed())
            co_await end->changed.wait();
        exit = end->exit;
    }
    json::object line;
    line["exit_code"] = exit->code;
    std::string text = line_of(line);
    co_await request.write(std::move(text));
}

engine::task<> act(exchange& request, daemon_parts parts) {
    const std::string id = container_of(request, parts).record.id;
    const std::string action = request.parameters.at("action");
    const auto seconds = request.query.number("timeout");
    std::optional<std::chrono::nanoseconds> grace;
    if (seconds)
        grace = std::chrono::seconds(*seconds);
    if (action == "start") {
        co_await parts.containers.start(id);
        co_await parts.containers.await_hooks(id);
    } else if (action == "stop")
        co_await parts.containers.stop(id, grace);
    else if (action == "kill")
        co_await parts.containers.kill(id, engine::signal_number(request.query.text("signal", "SIGKILL")));
    else if (action == "pause" || action == "unpause")
        co_await parts.containers.pause(id, action == "pause");
    else
        throw error(error_kind::not_found,
            fmt::format("\"{}\" is nothing to do with a container; there are start, stop, kill, pause and "
                        "unpause",
                action));
    json::object reply{{"done", true}};
    co_await send_json(request, 200, std::move(reply));
}

engine::task<> remove(exchange& request, daemon_parts parts) {
    const engine::container_record record = container_of(request, parts).record;
    co_await parts.containers.remove(record.id, request.query.flag("volumes"));
    json::object reply{{"removed", record.name}};
    co_await send_json(request, 200, std::move(reply));
}

} // namespace

void add_attach_routes(router& to, const daemon_parts& parts) {
    to.add("POST", "/api/v1/containers/{container}/attach",
        [parts](exchange& request) { return attach(request, parts); });
    to.add("GET", "/api/v1/containers/{container}/wait",
        [parts](exchange& request) { return wait(request, parts); });
    to.add("POST", "/api/v1/containers/{container}/{action}",
        [parts](exchange& request) { return act(request, parts); });
    to.add("DELETE", "/api/v1/containers/{container}",
        [parts](exchange& request) { return remove(request, parts); });
}

} // namespace api
