#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>

#include <algorithm>
#include <chrono>

namespace api {

namespace json = boost::json;

namespace {

engine::task<> follow(exchange& request, daemon_parts parts) {
    engine::event_log& events = parts.engine.events;
    const std::string project = request.query.text("project");
    const auto since = request.query.number("since");
    const auto after = request.query.time("after");
    const auto until = request.query.time("until");
    std::uint64_t next = after ? 0 : since ? static_cast<std::uint64_t>(*since) : events.next_sequence();
    co_await request.begin_stream(json_lines);
    request.on_close([&events] { events.wake(); });
    boost::asio::steady_timer clock(parts.engine.on.io);
    if (until) {
        const auto left = std::max<std::chrono::nanoseconds>(
            *until - std::chrono::system_clock::now(), std::chrono::nanoseconds(0));
        clock.expires_after(std::min<std::chrono::nanoseconds>(left, std::chrono::hours(24 * 365)));
        clock.async_wait([&events](boost::system::error_code cancelled) {
            if (!cancelled)
                events.wake();
        });
    }
    while (!request.closed()) {
        const auto now =
            std::chrono::system_clock::now(); // before the events: none of earlier can come after it
        const auto batch = events.since(next);
        next = batch.next;
        std::string lines;
        if (batch.missed > 0 && !after)
            lines += line_of(json::object{{"overflow", batch.missed}});
        for (const engine::event& each : batch.events)
            if ((project.empty() || engine::concerns(each, project)) && (!after || each.time >= *after) &&
                (!until || each.time < *until))
                lines += line_of(view_of(each));
        co_await request.write(std::move(lines));
        if (until && now >= *until)
            break;
        if (!request.closed())
            co_await events.wait(next);
    }
}

} // namespace

void add_event_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/events", [parts](exchange& request) { return follow(request, parts); });
}

} // namespace api
