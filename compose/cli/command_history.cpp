#include "api/http/query.hpp"
#include "compose/cli/context.hpp"
#include "compose/cli/progress.hpp"
#include "compose/cli/table.hpp"
#include "compose/encode/encode.hpp"
#include "compose/load/contents.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <pwd.h>

namespace compose::cli {

namespace json = boost::json;

namespace {

constexpr int something_differs = 2;

/// What is wrong with the number of a revision on the command line; empty when nothing is.
std::string revision_number(std::string& text) {
    const bool number =
        !text.empty() && text.size() < 19 && text.find_first_not_of("0123456789") == std::string::npos;
    return number ? std::string()
                  : fmt::format("\"{}\" is no number of a revision; see: compose history", text);
}

struct history_flags {
    std::string format = "table";
    bool runs = false;
    std::vector<std::string> services;
};

struct diff_flags {
    std::vector<std::uint64_t> revisions;
    bool exit_code = false;
    std::string format = "text";
};

struct rollback_flags {
    std::optional<std::uint64_t> revision;
    bool wait = false;
    bool remove_orphans = false;
};

std::string user_name(const json::object& revision) {
    const json::value* user = revision.if_contains("user");
    if (user == nullptr)
        return "-";
    const auto id = user->to_number<unsigned>();
    const passwd* known = ::getpwuid(id);
    return known == nullptr ? std::to_string(id) : known->pw_name;
}

/// "service web changed: environment LOG_LEVEL, ports"
std::string sentence_of(const json::object& difference) {
    std::vector<std::string> details;
    for (const json::value& each : difference.at("details").as_array())
        details.emplace_back(each.as_string());
    return fmt::format("{} {} {}{}{}", text_of(difference, "kind"), text_of(difference, "name"),
        text_of(difference, "change"), details.empty() ? "" : ": ", fmt::join(details, ", "));
}

std::vector<std::string> sentences_of(const json::value& differences) {
    std::vector<std::string> all;
    for (const json::value& each : differences.as_array())
        all.push_back(sentence_of(each.as_object()));
    return all;
}

/// One line for each thing on the host that `up` would touch: a container that goes and comes again is
/// recreated.
std::vector<std::string> sentences_of_plan(const json::array& steps) {
    std::vector<std::string> order;
    std::map<std::string, std::pair<std::set<std::string>, std::string>> found; // actions and reason, by name
    for (const json::value& each : steps) {
        const json::object& step = each.as_object();
        const std::string action = text_of(step, "action");
        if (action.starts_with("wait"))
            continue;
        const std::string name = action.substr(action.find(' ') + 1) + " " + text_of(step, "name");
        auto& [actions, reason] = found[name];
        if (actions.empty())
            order.push_back(name);
        actions.insert(action.substr(0, action.find(' ')));
        if (reason.empty())
            reason = text_of(step, "reason");
    }
    std::vector<std::string> sentences;
    for (const std::string& name : order) {
        const auto& [actions, reason] = found.at(name);
        const bool made = actions.contains("create") || actions.contains("switch");
        const std::string verb = made && actions.contains("remove") ? "recreate"
                                 : made                             ? "create"
                                 : actions.contains("remove")       ? "remove"
                                                                    : *actions.begin();
        sentences.push_back(fmt::format("{} {}: {}", verb, name, reason));
    }
    return sentences;
}

/// What differs from the revision before it; where nothing does, what was made anew and why.
std::string changes_of(const json::object& revision) {
    const json::value* differences = revision.if_contains("differences");
    std::vector<std::string> sentences;
    if (differences != nullptr)
        sentences = sentences_of(*differences);
    if (differences != nullptr && sentences.empty())
        sentences = sentences_of_plan(revision.at("steps").as_array());
    const json::value* failed = revision.if_contains("failed");
    if (const json::value* back_to = revision.if_contains("back_to"))
        sentences.insert(sentences.begin(),
            fmt::format("rolled back to {} as an update had failed", back_to->to_number<std::uint64_t>()));
    return fmt::format(
        "{}{}", failed != nullptr && failed->as_bool() ? "(failed) " : "", fmt::join(sentences, "; "));
}

std::string ended(const json::object& run) {
    const std::string error = text_of(run, "error");
    std::string result = run.contains("exit_code")
                             ? fmt::format("exited ({})", run.at("exit_code").as_int64())
                         : !error.empty()          ? error
                         : run.contains("started") ? "running"
                                                   : "starting";
    if (run.contains("exit_code") && !error.empty())
        result += "; " + error;
    if (const auto skipped = run.at("skipped").to_number<unsigned>(); skipped > 0)
        result += fmt::format("; due {} more time{} while it ran", skipped, skipped == 1 ? "" : "s");
    return result;
}

std::string local_time(const std::string& text) {
    return text.empty() ? "-"
                        : fmt::format("{:%F %T}",
                              fmt::localtime(std::chrono::system_clock::to_time_t(parse_time(text))));
}

/// Of the services that run by a schedule.
engine::task<> runs(context& with, std::shared_ptr<history_flags> flags) {
    api::target target = project_target(with.project_name(), "/runs");
    add_services(target, flags->services);
    api::client daemon = with.daemon();
    const std::string reply = co_await daemon.call("GET", target.text());
    if (flags->format == "json") {
        fmt::print("{}\n", reply);
        co_return;
    }
    const json::value parsed = parse_reply(reply);
    std::vector<std::pair<std::string, std::vector<std::string>>> rows; // by when they were due
    for (const json::value& each : parsed.as_array()) {
        const json::object& run = each.as_object();
        std::string took = "-";
        if (run.contains("started") && run.contains("finished")) {
            const auto time = parse_time(text_of(run, "finished")) - parse_time(text_of(run, "started"));
            took = fmt::format("{:.1f} s", std::chrono::duration<double>(time).count());
        }
        rows.push_back({text_of(run, "due"), {text_of(run, "service"), local_time(text_of(run, "due")),
                                                 local_time(text_of(run, "started")), took, ended(run)}});
    }
    std::sort(rows.rbegin(), rows.rend());
    std::vector<std::vector<std::string>> sorted;
    sorted.reserve(rows.size());
    for (auto& [due, row] : rows)
        sorted.push_back(std::move(row));
    fmt::print("{}", format_table({"SERVICE", "DUE", "STARTED", "TOOK", "RESULT"}, sorted));
}

engine::task<> history(context& with, std::shared_ptr<history_flags> flags) {
    if (!flags->runs && !flags->services.empty())
        throw error(
            error_kind::invalid, "services are named with --runs; revisions are of the whole project");
    if (flags->runs) {
        co_await runs(with, flags);
        co_return;
    }
    api::client daemon = with.daemon();
    const std::string reply =
        co_await daemon.call("GET", project_target(with.project_name(), "/revisions").text());
    if (flags->format == "json") {
        fmt::print("{}\n", reply);
        co_return;
    }
    const json::value parsed = parse_reply(reply);
    std::vector<std::vector<std::string>> rows;
    for (const json::value& each : parsed.as_array()) {
        const json::object& revision = each.as_object();
        const auto age = std::chrono::duration_cast<std::chrono::seconds>(
            std::chrono::system_clock::now() - parse_time(text_of(revision, "created")));
        rows.push_back({std::to_string(revision.at("revision").to_number<std::uint64_t>()),
            human_duration(age) + " ago", user_name(revision), changes_of(revision)});
    }
    std::reverse(rows.begin(), rows.end());
    fmt::print("{}", format_table({"REVISION", "CREATED", "USER", "CHANGES"}, rows));
}

/// What `up` would do now.
engine::task<json::object> planned(context& with) {
    loaded read = with.load_files();
    project wanted = std::move(read.project);
    read_contents(wanted, read.variables);
    api::client daemon = with.daemon();
    api::request_body body{.content_type = "application/json", .text = to_wire(wanted)};
    api::target target = project_target(wanted.name);
    target.with("dry_run", true);
    const std::string reply = co_await daemon.call("PUT", target.text(), std::move(body));
    co_return parse_reply(reply).as_object();
}

engine::task<> diff(context& with, std::shared_ptr<diff_flags> flags) {
    json::object reply;
    std::vector<std::string> sentences;
    if (flags->revisions.empty()) {
        reply = co_await planned(with);
        sentences = sentences_of_plan(reply.at("steps").as_array());
    } else {
        api::target target = project_target(with.project_name(), "/diff");
        target.with("from", flags->revisions[0]);
        if (flags->revisions.size() > 1)
            target.with("to", flags->revisions[1]);
        api::client daemon = with.daemon();
        const std::string text = co_await daemon.call("GET", target.text());
        reply = parse_reply(text).as_object();
        sentences = sentences_of(reply.at("differences"));
    }
    if (flags->format == "json")
        fmt::print("{}\n", json::serialize(reply));
    else
        for (const std::string& each : sentences)
            fmt::print("{}\n", each);
    if (flags->exit_code && !sentences.empty())
        with.exit_code = something_differs;
}

engine::task<> rollback(context& with, std::shared_ptr<rollback_flags> flags) {
    api::target target = project_target(with.project_name(), "/rollback");
    target.with("wait", flags->wait).with("remove_orphans", flags->remove_orphans);
    if (flags->revision)
        target.with("revision", *flags->revision);
    api::client daemon = with.daemon();
    std::unique_ptr<api::client_stream> stream = co_await daemon.open("POST", target.text());
    operation_told told;
    co_await follow_operation(with, std::move(stream), "Running", &told);
    const json::object& first = told.first;
    fmt::print(stderr, "Revision {} is as revision {} was\n", first.at("revision").to_number<std::uint64_t>(),
        first.at("of").to_number<std::uint64_t>());
}

} // namespace

void add_history(const command_line& app) {
    const auto shown = std::make_shared<history_flags>();
    const command_line history_command =
        app.add_subcommand("history", "Show what was asked of the project, and by whom");
    history_command.add_option("--format", shown->format, "table or json").one_of({"table", "json"});
    history_command.add_flag(
        "--runs", shown->runs, "Show the runs of scheduled services instead, their ends and exit codes");
    history_command.add_option(
        "SERVICE", shown->services, "with --runs: those whose runs are shown; all by default");
    history_command.runs([shown](context& with) { return history(with, shown); });

    const auto compared = std::make_shared<diff_flags>();
    const command_line diff_command =
        app.add_subcommand("diff", "Show what up would do now, or what differs between revisions");
    diff_command
        .add_option(
            "REVISION", compared->revisions, "one: that and the newest; two: from the first to the second")
        .count(0, 2)
        .check(revision_number);
    diff_command.add_flag("--exit-code", compared->exit_code, "Exit with 2 when there is something");
    diff_command.add_option("--format", compared->format, "text or json").one_of({"text", "json"});
    diff_command.runs([compared](context& with) { return diff(with, compared); });

    const auto back = std::make_shared<rollback_flags>();
    const command_line rollback_command =
        app.add_subcommand("rollback", "Bring an earlier revision up again");
    rollback_command.add_option("REVISION", back->revision, "when left out the last other one that came up")
        .check(revision_number);
    rollback_command.add_flag("--wait", back->wait, "Wait for services to be running|healthy");
    rollback_command.add_flag("--remove-orphans", back->remove_orphans,
        "Remove containers for services that the revision does not have");
    rollback_command.runs([back](context& with) { return rollback(with, back); });
}

} // namespace compose::cli
