#include "compose/cli/context.hpp"
#include "compose/cli/table.hpp"
#include "compose/cli/terminal.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

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

/// What is told: what becomes of containers, as Docker Compose does, and what composed does or finds by
/// itself.
std::string action_of(const json::object& event) {
    const std::string status = text_of(event, "status");
    const bool own = status == "Repaired" || status == "Warning" || status == "Error";
    return own ? lower(status) : text_of(event, "action");
}

json::object attributes_of(const json::object& event) {
    if (const json::value* found = event.if_contains("attributes"))
        return found->as_object();
    json::object attributes{{"name", text_of(event, "name")}};
    if (const std::string detail = text_of(event, "detail"); !detail.empty())
        attributes["detail"] = detail;
    return attributes;
}

/// "2026-01-02 15:04:05.000000", local.
std::string local_time(const std::string& time) {
    const auto when = parse_time(time);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(when);
    return fmt::format("{:%F %T}.{:06}", fmt::localtime(std::chrono::system_clock::to_time_t(seconds)),
        std::chrono::duration_cast<std::chrono::microseconds>(when - seconds).count());
}

void print(const json::object& event, const std::string& action, bool as_json) {
    const json::object attributes = attributes_of(event);
    if (as_json) {
        json::object line{{"action", action}, {"attributes", attributes}, {"id", text_of(event, "id")},
            {"service", text_of(event, "service")}, {"time", text_of(event, "time")},
            {"type", text_of(event, "kind")}};
        fmt::print("{}\n", json::serialize(line));
    } else {
        std::vector<std::string> texts;
        for (const auto& [key, value] : attributes)
            texts.push_back(fmt::format("{}={}", std::string_view(key), std::string_view(value.as_string())));
        const std::string id = text_of(event, "id");
        fmt::print("{} {} {} {} ({})\n", local_time(text_of(event, "time")), text_of(event, "kind"),
            printable(action), id.empty() ? text_of(event, "name") : id,
            printable(fmt::format("{}", fmt::join(texts, ", "))));
    }
    std::fflush(stdout); // whoever reads it by a pipe wants it now
}

bool is_one_off(const json::object& event) {
    const json::value* one_off = event.if_contains("one_off");
    return one_off != nullptr && one_off->as_bool();
}

engine::task<> events(context& with, std::shared_ptr<events_flags> flags) {
    const std::string project = with.project_name();
    if (!flags->services.empty())
        check_services(with.load_project(), flags->services);
    api::client daemon = with.daemon();
    api::target target("/api/v1/events");
    target.with("project", project);
    if (!flags->since.empty())
        target.with("after", query_moment(moment_of("--since", flags->since)));
    if (!flags->until.empty())
        target.with("until", query_moment(moment_of("--until", flags->until)));
    std::unique_ptr<api::client_stream> stream = co_await daemon.open("GET", target.text());
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
        const std::string action = action_of(event);
        const bool meant = wanted.empty() || std::find(wanted.begin(), wanted.end(), service) != wanted.end();
        if (meant && !action.empty() && !is_one_off(event))
            print(event, action, flags->json);
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
