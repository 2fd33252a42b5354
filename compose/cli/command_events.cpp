#include "compose/cli/context.hpp"
#include "compose/cli/table.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct events_flags {
    bool json = false;
    std::string since;
    std::string until;
    std::vector<std::string> services;
};

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
        [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

void print(const json::object& event, bool as_json) {
    const std::string kind = text_of(event, "kind");
    const std::string action = lower(text_of(event, "status"));
    const std::string detail = text_of(event, "detail");
    if (as_json) {
        json::object attributes{{"name", text_of(event, "name")}};
        if (!detail.empty())
            attributes["detail"] = detail;
        json::object line{{"time", text_of(event, "time")}, {"type", kind}, {"action", action},
            {"id", text_of(event, "id")}, {"service", text_of(event, "service")},
            {"attributes", std::move(attributes)}};
        fmt::print("{}\n", json::serialize(line));
    } else {
        const std::string id = text_of(event, "id");
        fmt::print("{} {} {}{} (name={}{})\n", text_of(event, "time"), kind, action,
            id.empty() ? "" : " " + id, text_of(event, "name"), detail.empty() ? "" : ", " + detail);
    }
    std::fflush(stdout); // whoever reads it by a pipe wants it now
}

engine::task<> events(context& with, std::shared_ptr<events_flags> flags) {
    const std::string project = with.project_name();
    if (!flags->services.empty())
        check_services(with.load_project(), flags->services);
    api::client daemon = with.daemon();
    std::string target = fmt::format("/api/v1/events?project={}", project);
    if (!flags->since.empty())
        target += "&after=" + query_moment(moment_of("--since", flags->since));
    if (!flags->until.empty())
        target += "&until=" + query_moment(moment_of("--until", flags->until));
    std::unique_ptr<api::client_stream> stream = co_await daemon.open("GET", target);
    while (std::ferror(stdout) == 0) {
        const auto line = co_await stream->next_line();
        if (!line)
            break;
        const json::value parsed = parse_reply(*line);
        const json::object& event = parsed.as_object();
        if (const json::value* missed = event.if_contains("overflow")) {
            fmt::print(stderr, "warning: {} events came faster than they were read\n",
                missed->to_number<std::uint64_t>());
            continue;
        }
        const std::string service = text_of(event, "service");
        const auto& wanted = flags->services;
        if (wanted.empty() || std::find(wanted.begin(), wanted.end(), service) != wanted.end())
            print(event, flags->json);
    }
}

} // namespace

void add_events(const command_line& app) {
    const auto flags = std::make_shared<events_flags>();
    const command_line command = app.add_subcommand("events", "Receive real time events from containers");
    command.add_flag("--json", flags->json, "Output events as a stream of json objects");
    command.add_option("--since", flags->since, "Show all events created since timestamp");
    command.add_option("--until", flags->until, "Stream events until this timestamp");
    command.add_option("SERVICE", flags->services, "only of these; of all when none is named");
    command.runs([flags](context& with) { return events(with, flags); });
}

} // namespace compose::cli
