#include "compose/cli/context.hpp"
#include "compose/cli/table.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <set>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct ps_flags {
    bool all = false;
    bool quiet = false;
    bool services = false;
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

/// "Up 2 minutes (healthy)", "Exited (0) 3 seconds ago": the engine's words in Docker's form.
std::string status_of(const json::object& container) {
    const std::string state = text_of(container, "state");
    if (state == "running" || state == "stopping") {
        std::string status = "Up " + human_duration(since(text_of(container, "started")));
        const std::string health = text_of(container, "health");
        if (health == "starting")
            status += " (health: starting)";
        else if (!health.empty() && health != "none")
            status += fmt::format(" ({})", health);
        return status;
    }
    const std::string error = text_of(container, "error");
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

std::string command_of(const json::object& container, std::size_t most) {
    std::vector<std::string> words;
    for (const json::value& word : container.at("command").as_array())
        words.emplace_back(word.as_string());
    std::string text = fmt::format("{}", fmt::join(words, " "));
    if (text.size() + 2 > most)
        return fmt::format("\"{}…\"", text.substr(0, most - 3));
    return fmt::format("\"{}\"", text);
}

json::object docker_form(const json::object& container) {
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
    return {{"Command", command_of(container, 1U << 20U)}, {"CreatedAt", text_of(container, "created")},
        {"ExitCode", number_of(container, "exit_code")}, {"Health", health == "none" ? "" : health},
        {"ID", text_of(container, "id").substr(0, 12)}, {"Image", text_of(container, "image")},
        {"Labels", fmt::format("{}", fmt::join(labels, ","))}, {"LocalVolumes", std::to_string(volumes)},
        {"Mounts", fmt::format("{}", fmt::join(mounts, ","))}, {"Name", text_of(container, "name")},
        {"Names", text_of(container, "name")}, {"Networks", fmt::format("{}", fmt::join(networks, ","))},
        {"Ports", ports_of(container)}, {"Project", text_of(container, "project")},
        {"Publishers", std::move(publishers)},
        {"RunningFor", human_duration(since(text_of(container, "created"))) + " ago"},
        {"Service", text_of(container, "service")}, {"Size", "0B"}, {"State", text_of(container, "state")},
        {"Status", status_of(container)}};
}

bool is_running(const json::object& container) {
    const std::string state = text_of(container, "state");
    return state != "exited" && state != "created";
}

/// What the daemon has put right by itself within the last hour, and what it cannot put right.
engine::task<> print_repairs(context& with, std::string name) {
    constexpr auto recent = std::chrono::hours(1);
    api::client daemon = with.daemon();
    std::string text;
    try {
        text = co_await daemon.call("GET", fmt::format("/api/v1/projects/{}/repairs", name));
    } catch (const error& failure) {
        if (failure.kind() != error_kind::not_found)
            throw;
        co_return;
    }
    const json::value reply = parse_reply(text);
    for (const json::value& each : reply.at("repairs").as_array()) {
        const json::object& repair = each.as_object();
        const std::chrono::seconds age = since(text_of(repair, "time"));
        if (age < recent)
            fmt::print(stderr, "put right {} ago: {} {}: {}\n", human_duration(age), text_of(repair, "kind"),
                text_of(repair, "name"), text_of(repair, "detail"));
    }
    for (const json::value& problem : reply.at("problems").as_array())
        fmt::print(stderr, "problem: {}\n", std::string_view(problem.as_string()));
}

engine::task<> ps(context& with, std::shared_ptr<ps_flags> flags) {
    const std::string name = with.project_name();
    api::client daemon = with.daemon();
    const std::string text = co_await daemon.call("GET", containers_target(name, flags->only));
    const json::value all = parse_reply(text);
    std::vector<const json::object*> shown;
    for (const json::value& each : all.as_array()) {
        const json::object& container = each.as_object();
        if (flags->all || is_running(container))
            shown.push_back(&container);
    }
    std::sort(shown.begin(), shown.end(), [](const json::object* a, const json::object* b) {
        return text_of(*a, "name") < text_of(*b, "name");
    });
    std::set<std::string> services;
    std::vector<std::vector<std::string>> rows;
    for (const json::object* container : shown) {
        services.insert(text_of(*container, "service"));
        if (flags->quiet)
            fmt::print("{}\n", text_of(*container, "id"));
        else if (flags->format == "json" && !flags->services)
            fmt::print("{}\n", json::serialize(docker_form(*container)));
        rows.push_back({text_of(*container, "name"), text_of(*container, "image"), command_of(*container, 22),
            text_of(*container, "service"), human_duration(since(text_of(*container, "created"))) + " ago",
            status_of(*container), ports_of(*container)});
    }
    if (flags->services)
        for (const std::string& service : services)
            fmt::print("{}\n", service);
    else if (!flags->quiet && flags->format == "table")
        fmt::print(
            "{}", format_table({"NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"}, rows));
    if (!flags->quiet && flags->format == "table")
        co_await print_repairs(with, name);
}

} // namespace

void add_ps(CLI::App& app, action& chosen) {
    const auto flags = std::make_shared<ps_flags>();
    CLI::App* command = app.add_subcommand("ps", "List containers");
    command->add_flag("-a,--all", flags->all, "Show all stopped containers");
    command->add_flag("-q,--quiet", flags->quiet, "Only display IDs");
    command->add_flag("--services", flags->services, "Display services");
    command->add_option("--format", flags->format, "table or json")->check(CLI::IsMember({"table", "json"}));
    command->add_option("SERVICE", flags->only, "services to show; all when none is named");
    command->callback([flags, &chosen] { chosen = [flags](context& with) { return ps(with, flags); }; });
}

} // namespace compose::cli
