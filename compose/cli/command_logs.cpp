#include "compose/cli/log_printer.hpp"
#include "compose/cli/table.hpp"
#include "compose/cli/terminal.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <map>
#include <unistd.h>

namespace compose::cli {

namespace json = boost::json;

namespace {

// cyan, yellow, green, magenta, blue, and the bright ones: the order of Docker Compose.
constexpr std::array<int, 10> colours{36, 33, 32, 35, 34, 96, 93, 92, 95, 94};

/// "web-1" of "shop-web-1".
std::string short_name(const std::string& container, const std::string& project) {
    const std::string prefix = project + "-";
    return container.starts_with(prefix) ? container.substr(prefix.size()) : container;
}

class printer {
  public:
    printer(std::string project, log_options how, bool on_terminal)
        : project_(std::move(project)), how_(std::move(how)), coloured_(how_.color && on_terminal) {}

    void widen(const std::string& container) {
        width_ = std::max(width_, short_name(container, project_).size());
    }

    void print(const json::object& line) {
        const std::string container = text_of(line, "container");
        widen(container);
        if (const json::value* code = line.if_contains("exit_code")) {
            finish();
            fmt::print("{} exited with code {}{}\n", short_name(container, project_), code->to_number<int>(),
                line.at("restarting").as_bool() ? " (restarting)" : "");
            return;
        }
        // The shim cuts long lines into parts: only the last has its end.
        std::string& whole = unfinished_[{container, text_of(line, "stream")}];
        if (whole.empty())
            whole = head_of(container, line);
        whole += text_of(line, "text");
        if (whole.ends_with('\n') || whole.size() > longest_held)
            flush(whole);
    }

    /// What has no end yet gets one.
    void finish() {
        for (auto& [from, whole] : unfinished_)
            if (!whole.empty())
                flush(whole);
    }

  private:
    static constexpr std::size_t longest_held = 1U << 20U;

    std::string head_of(const std::string& container, const json::object& line) {
        std::string head;
        if (how_.prefix) {
            const auto [colour, fresh] = colour_of_.emplace(container, colour_of_.size() % colours.size());
            head += coloured(fmt::format("{:<{}}  | ", short_name(container, project_), width_),
                colours[colour->second], coloured_);
        }
        if (how_.timestamps)
            head += text_of(line, "time") + " ";
        return head;
    }

    static void flush(std::string& whole) {
        if (!whole.ends_with('\n'))
            whole += '\n';
        std::fwrite(whole.data(), 1, whole.size(), stdout);
        whole.clear();
    }

    std::string project_;
    log_options how_;
    bool coloured_;
    std::size_t width_ = 0;
    std::map<std::string, std::size_t> colour_of_;
    std::map<std::pair<std::string, std::string>, std::string> unfinished_; // by container and stream
};

std::string target_of(const std::string& project, const log_options& how) {
    std::string target = fmt::format("/api/v1/projects/{}/logs?follow={:d}", project, how.follow);
    if (!how.tail.empty() && how.tail != "all")
        target += "&tail=" + how.tail;
    if (how.since)
        target += "&since=" + query_moment(*how.since);
    if (how.until)
        target += "&until=" + query_moment(*how.until);
    if (!how.services.empty())
        target += "&" + services_query(how.services);
    return target;
}

} // namespace

engine::task<> print_logs(context& with, std::string project, log_options how) {
    api::client daemon = with.daemon();
    printer out(project, how, is_terminal(STDOUT_FILENO) && with.ansi != "never");
    const std::string containers = co_await daemon.call("GET", containers_target(project));
    const json::value all = parse_reply(containers);
    for (const json::value& each : all.as_array())
        out.widen(text_of(each.as_object(), "name"));
    std::unique_ptr<api::client_stream> stream = co_await daemon.open("GET", target_of(project, how));
    for (;;) {
        const std::optional<std::string> text = co_await stream->next_line();
        if (!text)
            break;
        const json::value line = parse_reply(*text);
        const json::object& object = line.as_object();
        const std::string service = text_of(object, "service");
        if (const json::value* code = object.if_contains("exit_code"); code != nullptr && how.ended)
            how.ended(service, code->to_number<int>(), object.at("restarting").as_bool());
        if (how.hidden.contains(service) ||
            (how.index > 0 && object.at("number").to_number<int>() != how.index))
            continue;
        out.print(object);
        if (how.follow)
            std::fflush(stdout);
    }
    out.finish();
    std::fflush(stdout);
}

void add_logs(const command_line& app) {
    const auto how = std::make_shared<log_options>();
    const command_line command = app.add_subcommand("logs", "View output from containers");
    command.add_flag("-f,--follow", how->follow, "Follow log output");
    command
        .add_option(
            "-n,--tail", how->tail, "Number of lines to show from the end of the logs for each container")
        .check([](const std::string& text) {
            const bool number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
            return number || text == "all" ? std::string() : "must be a number or \"all\"";
        });
    const auto since = std::make_shared<std::string>();
    const auto until = std::make_shared<std::string>();
    command.add_option("--since", *since, "Show logs since timestamp or relative (e.g. 42m for 42 minutes)");
    command.add_option("--until", *until, "Show logs before a timestamp or relative");
    command.add_option("--index", how->index, "Index of the container if service has multiple replicas");
    command.add_flag("-t,--timestamps", how->timestamps, "Show timestamps");
    command.add_flag("!--no-color", how->color, "Produce monochrome output");
    command.add_flag("!--no-log-prefix", how->prefix, "Don't print prefix in logs");
    command.add_option("SERVICE", how->services, "services to show; all when none is named");
    command.runs([how, since, until](context& with) {
        if (!since->empty())
            how->since = moment_of("--since", *since);
        if (!until->empty())
            how->until = moment_of("--until", *until);
        return print_logs(with, with.project_name(), *how);
    });
}

} // namespace compose::cli
