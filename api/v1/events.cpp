#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>

namespace api {

namespace json = boost::json;

namespace {

engine::task<> follow(exchange& request, daemon_parts parts) {
    engine::event_log& events = parts.engine.events;
    const std::string project = request.query.text("project");
    const auto since = request.query.number("since");
    std::uint64_t next = since ? static_cast<std::uint64_t>(*since) : events.next_sequence();
    co_await request.begin_stream(json_lines);
    request.on_close([&events] { events.wake(); });
    while (!request.closed()) {
        const auto batch = events.since(next);
        next = batch.next;
        std::string lines;
        if (batch.missed > 0)
            lines += line_of(json::object{{"overflow", batch.missed}});
        for (const engine::event& each : batch.events)
            if (project.empty() || each.project == project)
                lines += line_of(view_of(each));
        co_await request.write(std::move(lines));
        if (!request.closed())
            co_await events.wait(next);
    }
}

} // namespace

void add_event_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/events", [parts](exchange& request) { return follow(request, parts); });
}

} // namespace api
