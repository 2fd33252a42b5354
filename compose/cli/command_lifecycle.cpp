#include "compose/cli/context.hpp"
#include "compose/cli/progress.hpp"
#include "compose/cli/providers.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <iostream>
#include <optional>
#include <unistd.h>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct lifecycle_flags {
    std::optional<int> timeout;
    std::string signal = "SIGKILL";
    bool force = false;
    bool stop = false;
    bool no_deps = false;
    bool volumes = false;
    bool wait = false;
    int wait_timeout = 0;
    bool ignored = false;
    bool orphans = false;
    std::vector<std::string> services;
};
using flags_ptr = std::shared_ptr<lifecycle_flags>;

engine::task<> act(context& with, api::target target, std::string title) {
    api::client daemon = with.daemon();
    std::unique_ptr<api::client_stream> stream = co_await daemon.open("POST", target.text());
    co_await follow_operation(with, std::move(stream), std::move(title));
}

/// The containers end before what is provided for them.
engine::task<> run(context& with, flags_ptr flags, std::string action, std::string title);

engine::task<> stop(context& with, flags_ptr flags) {
    const std::string name = with.project_name();
    const provided_services provided = find_provided(with, flags->services);
    if (!provided.only)
        co_await run(with, flags, "stop", "Stopping");
    end_provided(name, provided.providers, "stop", provided.variables);
}

engine::task<> run(context& with, flags_ptr flags, std::string action, std::string title) {
    const bool kills = action == "kill";
    const bool starts = action == "start";
    const std::string name = with.project_name();
    api::target target = project_target(name, "/" + action);
    add_services(target, flags->services);
    if (flags->timeout)
        target.with("timeout", *flags->timeout);
    if (kills)
        target.with("signal", flags->signal).with("orphans", flags->orphans);
    if (flags->no_deps)
        target.with("dependents", false);
    if (flags->wait)
        target.with("wait", true);
    if (flags->wait && flags->wait_timeout > 0)
        target.with("wait_timeout", flags->wait_timeout);
    std::exception_ptr failure;
    std::optional<error_kind> kind;
    try {
        co_await act(with, std::move(target), std::move(title));
    } catch (const error& thrown) {
        failure = std::current_exception();
        kind = thrown.kind();
    }
    if (!failure)
        co_return;
    const bool nothing_there =
        kind == error_kind::not_found && co_await was_not_brought_up(with, name, flags->services);
    if (!nothing_there && !(kills && kind == error_kind::conflict))
        std::rethrow_exception(failure);
    if (starts)
        throw error(error_kind::not_found,
            fmt::format("{} has no container to start; make one with: compose up -d",
                flags->services.empty() ? fmt::format("project \"{}\"", name)
                                        : fmt::format("service \"{}\"", flags->services.front())));
    if (kills)
        fmt::print(stderr, "no container to kill\n");
}

engine::task<> remove(context& with, flags_ptr flags) {
    const std::string name = with.project_name();
    if (flags->stop) {
        api::target target = project_target(name, "/stop");
        add_services(target, flags->services);
        co_await act(with, std::move(target), "Stopping");
    }
    const json::array all = co_await list_containers(with, name, flags->services);
    std::vector<std::string> names;
    for (const json::value& each : all) {
        const json::object& container = each.as_object();
        const std::string state = text_of(container, "state");
        // What `run` has left is not the service's, and what a schedule is about to start has not ended.
        const json::value* schedule = container.if_contains("schedule");
        const bool waits = schedule != nullptr && schedule->as_object().contains("next");
        if ((state == "exited" || state == "created") && !container.at("one_off").as_bool() && !waits)
            names.push_back(text_of(container, "name"));
    }
    if (names.empty()) {
        fmt::print(stderr, "No stopped containers\n");
        co_return;
    }
    const std::string question = fmt::format("Going to remove {}", fmt::join(names, ", "));
    if (flags->force) {
        fmt::print("{}\n", question);
        std::fflush(stdout); // before what is said of it
    } else {
        fmt::print("? {} (y/N) ", question);
        std::fflush(stdout);
        std::string answer;
        std::getline(std::cin, answer);
        if (answer != "y" && answer != "yes")
            co_return;
    }
    api::target target = project_target(name, "/remove");
    add_services(target, flags->services);
    target.with("volumes", flags->volumes);
    co_await act(with, std::move(target), "Removing");
}

command_line add(const command_line& app, const std::string& name, const std::string& help, flags_ptr flags,
    const std::string& title) {
    const command_line command = app.add_subcommand(name, help);
    command.add_option("SERVICE", flags->services, "services; all when none is named");
    command.runs([flags, name, title](context& with) {
        return name == "stop" ? stop(with, flags) : run(with, flags, name, title);
    });
    return command;
}

} // namespace

void add_lifecycle(const command_line& app) {
    const auto start_flags = std::make_shared<lifecycle_flags>();
    const command_line start = add(app, "start", "Start services", start_flags, "Starting");
    start.add_flag("--wait", start_flags->wait, "Wait for services to be running|healthy");
    start.add_option("--wait-timeout", start_flags->wait_timeout, "Maximum duration in seconds to wait")
        .check(whole_seconds);
    add(app, "pause", "Pause services", std::make_shared<lifecycle_flags>(), "Pausing");
    add(app, "unpause", "Unpause services", std::make_shared<lifecycle_flags>(), "Unpausing");
    for (const auto& [name, help, title] : {std::tuple("stop", "Stop services", "Stopping"),
             std::tuple("restart", "Restart service containers", "Restarting")}) {
        const auto flags = std::make_shared<lifecycle_flags>();
        const command_line command = add(app, name, help, flags, title);
        add_timeout(command, flags->timeout);
        if (name == std::string_view("restart"))
            command.add_flag("--no-deps", flags->no_deps, "Don't restart dependent services");
    }
    const auto kill_flags = std::make_shared<lifecycle_flags>();
    const command_line kill = add(app, "kill", "Force stop service containers", kill_flags, "Killing");
    kill.add_option("-s,--signal", kill_flags->signal, "SIGNAL to send to the container");
    kill.add_flag("--remove-orphans", kill_flags->orphans,
        "Also containers for services not defined in the Compose file; none is removed");

    const auto flags = std::make_shared<lifecycle_flags>();
    const command_line command = app.add_subcommand("rm", "Removes stopped service containers");
    command.add_flag("-f,--force", flags->force, "Don't ask to confirm removal");
    command.add_flag("-s,--stop", flags->stop, "Stop the containers, if required, before removing");
    command.add_flag("-a,--all", flags->ignored, "Without effect, as for Docker Compose").hidden();
    command.add_flag("-v,--volumes", flags->volumes, "Remove any anonymous volumes attached to containers");
    command.add_option("SERVICE", flags->services, "services; all when none is named");
    command.runs([flags](context& with) { return remove(with, flags); });
}

} // namespace compose::cli
