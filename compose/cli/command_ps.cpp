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
#include <cstdio>
#include <set>
#include <utility>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct ps_flags {
    bool all = false;
    bool quiet = false;
    bool services = false;
    bool orphans = true;
    bool no_trunc = false;
    std::vector<std::string> status;
    std::vector<std::string> filters;
    std::string format = "table";
    std::vector<std::string> only;
};

std::chrono::seconds since(const std::string& time) {
    return std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::system_clock::now() - parse_time(time));
}

std::int64_t number_of(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value == nullptr ? 0 : value->to_number<std::int64_t>();
}

/// When it runs next; empty for what has no schedule, or is not active.
std::string next_run_of(const json::object& container) {
    const json::value* schedule = container.if_contains("schedule");
    return schedule == nullptr ? std::string() : text_of(schedule->as_object(), "next");
}

/// "Scheduled: next run in 3 hours (2026-11-28 03:00); last exited (0) 21 hours ago"
std::string scheduled_status(const json::object& container) {
    const auto next = parse_time(next_run_of(container));
    const auto left =
        std::chrono::ceil<std::chrono::seconds>(std::max(next - std::chrono::system_clock::now(), {}));
    std::string status = fmt::format("Scheduled: next run in {} ({:%F %T})", human_duration(left),
        fmt::localtime(std::chrono::system_clock::to_time_t(next)));
    if (!text_of(container, "finished").empty())
        status += fmt::format("; last exited ({}) {} ago", number_of(container, "exit_code"),
            human_duration(since(text_of(container, "finished"))));
    return status;
}

/// "Up 2 minutes (healthy)", "Exited (0) 3 seconds ago": the engine's words in Docker's form.
std::string status_of(const json::object& container) {
    const std::string state = text_of(container, "state");
    if (state == "running" || state == "stopping" || state == "paused") {
        std::string status = "Up " + human_duration(since(text_of(container, "started")));
        const std::string health = text_of(container, "health");
        if (health == "starting")
            status += " (health: starting)";
        else if (!health.empty() && health != "none")
            status += fmt::format(" ({})", health);
        return state == "paused" ? status + " (Paused)" : status;
    }
    const std::string error = text_of(container, "error");
    if (error.empty() && !next_run_of(container).empty())
        return scheduled_status(container);
    if (state == "restarting")
        return fmt::format("Restarting ({}) {} ago{}", number_of(container, "exit_code"),
            human_duration(since(text_of(container, "finished"))), error.empty() ? "" : ": " + error);
    if (state == "exited")
        return fmt::format("Exited ({}) {} ago{}", number_of(container, "exit_code"),
            human_duration(since(text_of(container, "finished"))), error.empty() ? "" : ": " + error);
    return state == "starting" ? "Starting" : "Created";
}

/// "0.0.0.0:8000-8002->8000-8002/tcp": neighbours that are the same inside as outside are told as one, as
/// Docker does.
std::string ports_of(const json::object& container) {
    const json::value* found = container.if_contains("ports");
    if (found == nullptr)
        return {};
    const json::array& ports = found->as_array();
    const auto at = [&](std::size_t index, std::string_view key) {
        return number_of(ports[index].as_object(), key);
    };
    std::vector<std::string> texts;
    for (std::size_t first = 0, end = 0; first < ports.size(); first = end) {
        const json::object& port = ports[first].as_object();
        const bool same = at(first, "published") == at(first, "target");
        for (end = first + 1; same && end < ports.size(); ++end) {
            const auto next = at(first, "target") + static_cast<std::int64_t>(end - first);
            const json::object& other = ports[end].as_object();
            if (at(end, "target") != next || at(end, "published") != next ||
                other.at("host_ip") != port.at("host_ip") || other.at("protocol") != port.at("protocol"))
                break;
        }
        const auto range = [&](std::string_view key) {
            return end - first == 1 ? std::to_string(at(first, key))
                                    : fmt::format("{}-{}", at(first, key), at(end - 1, key));
        };
        const std::string host = text_of(port, "host_ip");
        const bool brackets = host.find(':') != std::string::npos;
        texts.push_back(fmt::format("{}:{}->{}/{}", brackets ? fmt::format("[{}]", host) : host,
            range("published"), range("target"), text_of(port, "protocol")));
    }
    return fmt::format("{}", fmt::join(texts, ", "));
}

/// As Docker has it: arguments with spaces between quotes, cut to twenty characters, quoted as in Go.
std::string command_of(const json::object& container, bool whole) {
    constexpr std::size_t most = 20;
    std::vector<std::string> words;
    for (const json::value& each : container.at("command").as_array()) {
        const std::string word(each.as_string());
        const bool spaces = word.find(' ') != std::string::npos;
        words.push_back(spaces && !words.empty() ? fmt::format("'{}'", word) : word);
    }
    const std::string text = fmt::format("{}", fmt::join(words, " "));
    return quoted(whole ? text : shortened(text, most));
}

/// "2026-11-23 02:15:55 +0000 UTC", as Go prints a time.
std::string go_time(const std::string& time) {
    return fmt::format(
        "{:%F %T %z %Z}", fmt::localtime(std::chrono::system_clock::to_time_t(parse_time(time))));
}

json::object docker_form(const json::object& container, bool whole) {
    json::array publishers;
    if (const json::value* ports = container.if_contains("ports"))
        for (const json::value& each : ports->as_array()) {
            const json::object& port = each.as_object();
            publishers.push_back(json::object{{"URL", port.at("host_ip")}, {"TargetPort", port.at("target")},
                {"PublishedPort", port.at("published")}, {"Protocol", port.at("protocol")}});
        }
    std::vector<std::string> labels;
    for (const auto& label : container.at("labels").as_object())
        labels.push_back(
            fmt::format("{}={}", std::string_view(label.key()), std::string_view(label.value().as_string())));
    std::vector<std::string> networks;
    for (const auto& network : container.at("networks").as_object())
        networks.emplace_back(network.key());
    std::vector<std::string> mounts;
    int volumes = 0;
    for (const json::value& each : container.at("mounts").as_array()) {
        const json::object& mount = each.as_object();
        const bool is_volume = text_of(mount, "type") == "volume";
        volumes += is_volume ? 1 : 0;
        mounts.push_back(text_of(mount, text_of(mount, "source").empty() ? "target" : "source"));
    }
    const std::string health = text_of(container, "health");
    return {{"Command", command_of(container, whole)}, {"CreatedAt", go_time(text_of(container, "created"))},
        {"ExitCode", number_of(container, "exit_code")}, {"Health", health == "none" ? "" : health},
        {"ID", text_of(container, "id").substr(0, whole ? std::string::npos : 12)},
        {"Image", text_of(container, "image")}, {"Labels", fmt::format("{}", fmt::join(labels, ","))},
        {"LocalVolumes", std::to_string(volumes)}, {"Mounts", fmt::format("{}", fmt::join(mounts, ","))},
        {"Name", text_of(container, "name")}, {"Names", text_of(container, "name")},
        {"Networks", fmt::format("{}", fmt::join(networks, ","))}, {"Ports", ports_of(container)},
        {"Project", text_of(container, "project")}, {"Publishers", std::move(publishers)},
        {"RunningFor", human_duration(since(text_of(container, "created"))) + " ago"},
        {"Service", text_of(container, "service")}, {"Size", "0B"}, {"State", text_of(container, "state")},
        {"Status", status_of(container)}};
}

bool is_running(const json::object& container) {
    const std::string state = text_of(container, "state");
    return state != "exited" && state != "created";
}

/// What was put right within the last minute, each thing once: what is over and done with is told to who
/// looks on when it happens, and later by `events`.
void print_put_right(const json::array& repairs) {
    constexpr auto recent = std::chrono::minutes(1);
    struct occurrence {
        std::chrono::seconds age;
        int times = 0;
    };
    std::vector<std::pair<std::string, occurrence>> told; // the latest last
    for (const json::value& each : repairs) {
        const json::object& repair = each.as_object();
        const std::chrono::seconds age = since(text_of(repair, "time"));
        if (age >= recent)
            continue;
        const std::string name = text_of(repair, "name");
        const std::string what = fmt::format(
            "{}{}: {}", text_of(repair, "kind"), name.empty() ? "" : " " + name, text_of(repair, "detail"));
        const auto known =
            std::find_if(told.begin(), told.end(), [&](const auto& other) { return other.first == what; });
        const int before = known == told.end() ? 0 : known->second.times;
        if (known != told.end())
            told.erase(known);
        told.emplace_back(what, occurrence{.age = age, .times = before + 1});
    }
    for (const auto& [what, when] : told)
        fmt::print(stderr, "put right {} ago: {}{}\n", human_duration(when.age), printable(what),
            when.times > 1 ? fmt::format(" ({} times)", when.times) : "");
}

/// And what the daemon cannot put right.
engine::task<> print_repairs(context& with, std::string name) {
    api::client daemon = with.daemon();
    std::string text;
    try {
        text = co_await daemon.call("GET", project_target(name, "/repairs").text());
    } catch (const error& failure) {
        if (failure.kind() != error_kind::not_found)
            throw;
        co_return;
    }
    const json::value reply = parse_reply(text);
    print_put_right(reply.at("repairs").as_array());
    for (const json::value& problem : reply.at("problems").as_array())
        fmt::print(stderr, "problem: {}\n", printable(problem.as_string()));
}

/// --status and --filter status=…, which is the same. Throws error{invalid} for another filter or status.
std::set<std::string> statuses_of(const ps_flags& flags) {
    static const std::set<std::string> known{
        "created", "dead", "exited", "paused", "removing", "restarting", "running"};
    std::set<std::string> wanted(flags.status.begin(), flags.status.end());
    for (const std::string& filter : flags.filters) {
        const auto equals = filter.find('=');
        if (equals == std::string::npos)
            throw error(error_kind::invalid, "arguments to --filter should be in form KEY=VAL");
        if (filter.substr(0, equals) != "status")
            throw error(error_kind::invalid, fmt::format("unknown filter {}", filter.substr(0, equals)));
        wanted.insert(filter.substr(equals + 1));
    }
    for (const std::string& each : wanted)
        if (!known.contains(each))
            throw error(error_kind::invalid,
                fmt::format("unknown status \"{}\"; there are {}", each, fmt::join(known, ", ")));
    return wanted;
}

/// Services of the definition; nothing when there is none.
engine::task<std::set<std::string>> declared(context& with, std::string project) {
    std::set<std::string> names;
    api::client daemon = with.daemon();
    std::string text;
    try {
        text = co_await daemon.call("GET", project_target(project).text());
    } catch (const error& failure) {
        if (failure.kind() != error_kind::not_found)
            throw;
        co_return names;
    }
    const json::value reply = parse_reply(text);
    for (const char* key : {"services", "disabled_services"})
        if (const json::value* services = reply.at("definition").as_object().if_contains(key))
            for (const auto& service : services->as_object())
                names.emplace(service.key());
    co_return names;
}

bool is_shown(const json::object& container, const ps_flags& flags, const std::set<std::string>& statuses) {
    if (!statuses.empty()) {
        const std::string state = text_of(container, "state"); // ours that pass soon are Docker's running
        return statuses.contains(state == "starting" || state == "stopping" ? "running" : state);
    }
    return flags.all ||
           ((is_running(container) || !next_run_of(container).empty()) && !container.at("one_off").as_bool());
}

engine::task<> ps(context& with, std::shared_ptr<ps_flags> flags) {
    const std::set<std::string> statuses = statuses_of(*flags);
    const std::string name = with.project_name();
    std::set<std::string> known;
    if (!flags->orphans)
        known = co_await declared(with, name);
    const json::array all = co_await list_containers(with, name, flags->only);
    std::vector<const json::object*> shown;
    for (const json::value& each : all) {
        const json::object& container = each.as_object();
        if (is_shown(container, *flags, statuses) &&
            (flags->orphans || known.contains(text_of(container, "service"))))
            shown.push_back(&container);
    }
    std::sort(shown.begin(), shown.end(), [](const json::object* a, const json::object* b) {
        return text_of(*a, "name") < text_of(*b, "name");
    });
    std::set<std::string> services;
    std::vector<std::vector<std::string>> rows;
    std::vector<json::object> forms;
    for (const json::object* container : shown) {
        services.insert(text_of(*container, "service"));
        if (flags->quiet)
            fmt::print("{}\n", text_of(*container, "id"));
        forms.push_back(docker_form(*container, flags->no_trunc));
        rows.push_back({text_of(*container, "name"), text_of(*container, "image"),
            command_of(*container, flags->no_trunc), text_of(*container, "service"),
            human_duration(since(text_of(*container, "created"))) + " ago", status_of(*container),
            ports_of(*container)});
    }
    if (flags->quiet)
        co_return;
    if (flags->services)
        for (const std::string& service : services)
            fmt::print("{}\n", service);
    else if (flags->format != "table")
        fmt::print("{}", format_rows(flags->format, forms));
    else
        fmt::print("{}", format_table({"NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"},
                             rows, narrowest_column));
    if (flags->format != "table" || flags->services)
        co_return;
    for (const json::object* container : shown)
        if (const std::string why = text_of(*container, "health_failure"); !why.empty())
            fmt::print(stderr, "problem: container {} is unhealthy: {}\n", text_of(*container, "name"),
                printable(why));
    co_await print_repairs(with, name);
}

} // namespace

void add_ps(const command_line& app) {
    const auto flags = std::make_shared<ps_flags>();
    const command_line command = app.add_subcommand("ps", "List containers");
    command.add_flag("-a,--all", flags->all, "Show all stopped containers");
    command.add_flag("-q,--quiet", flags->quiet, "Only display IDs");
    command.add_flag("--services", flags->services, "Display services");
    command.add_option("--status", flags->status, "Filter services by status").one_each();
    command
        .add_option("--filter", flags->filters, "Filter services by a property (supported filters: status)")
        .one_each();
    command.add_flag("--orphans,!--no-orphans", flags->orphans,
        "Include orphaned services (not declared by project); --orphans=false leaves them out");
    command.add_flag("--no-trunc", flags->no_trunc, "Don't truncate output");
    command.add_option("--format", flags->format, "table, json, or a Go template");
    command.add_option("SERVICE", flags->only, "services to show; all when none is named");
    command.runs([flags](context& with) { return ps(with, flags); });
}

} // namespace compose::cli
