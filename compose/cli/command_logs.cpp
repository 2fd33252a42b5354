#include "compose/cli/log_printer.hpp"
#include "compose/cli/reconnect.hpp"
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

    /// After the connection was lost: what comes once more is known by its time.
    void begin_again() { shown_ = last_; }

    /// Not printed before that. Exits and lines of a container are in an order of their own each.
    bool is_new(const json::object& line) {
        const std::string time = text_of(line, "time");
        const std::pair of(text_of(line, "container"), line.contains("exit_code"));
        const auto known = shown_.find(of);
        last_[of] = time;
        return known == shown_.end() || time > known->second;
    }

    /// From where on what was not printed yet can be; nothing when all is new.
    std::optional<std::chrono::system_clock::time_point> shown_until() const {
        std::optional<std::string> first;
        for (const auto& [of, time] : shown_)
            first = std::min(first.value_or(time), time);
        constexpr std::chrono::milliseconds rounding{1};
        return first ? std::optional(parse_time(*first) - rounding) : std::nullopt;
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
    std::map<std::pair<std::string, bool>, std::string> last_;  // times, by container and whether of an exit
    std::map<std::pair<std::string, bool>, std::string> shown_; // these when the connection was lost
};

std::string target_of(const std::string& project, const log_options& how) {
    api::target target = project_target(project, "/logs");
    target.with("follow", how.follow);
    if (!how.tail.empty() && how.tail != "all")
        target.with("tail", how.tail);
    if (how.since)
        target.with("since", query_moment(*how.since));
    if (how.until)
        target.with("until", query_moment(*how.until));
    add_services(target, how.services);
    return target.text();
}

engine::task<> read_logs(context& with, printer& out, std::string project, log_options how) {
    api::client daemon = with.daemon();
    std::unique_ptr<api::client_stream> stream = co_await daemon.open("GET", target_of(project, how));
    for (;;) {
        const std::optional<std::string> text = co_await stream->next_line();
        if (!text)
            break;
        const json::value line = parse_reply(*text);
        const json::object& object = line.as_object();
        if (!out.is_new(object))
            continue;
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
}

void check_index(const json::array& containers, const log_options& how) {
    const auto meant = [&how](const json::value& each) {
        const std::string service = text_of(each.as_object(), "service");
        const bool named = how.services.empty() ||
                           std::find(how.services.begin(), how.services.end(), service) != how.services.end();
        return named && each.at("number").to_number<int>() == how.index;
    };
    if (std::none_of(containers.begin(), containers.end(), meant))
        throw error(error_kind::not_found,
            how.services.size() == 1
                ? fmt::format("service \"{}\" has no container #{}", how.services.front(), how.index)
                : fmt::format("no service has a container #{}", how.index));
}

} // namespace

engine::task<> print_logs(context& with, std::string project, log_options how) {
    api::client daemon = with.daemon();
    printer out(project, how, is_terminal(STDOUT_FILENO) && with.ansi != "never");
    const std::string containers = co_await daemon.call("GET", containers_target(project));
    const json::value all = parse_reply(containers);
    for (const json::value& each : all.as_array())
        out.widen(text_of(each.as_object(), "name"));
    if (how.index > 0)
        check_index(all.as_array(), how);
    for (;;) {
        std::exception_ptr failure;
        try {
            co_await read_logs(with, out, project, how);
        } catch (const error&) {
            failure = std::current_exception();
        }
        if (!failure)
            break;
        if (!has_gone(failure) && co_await was_not_brought_up(with, project, how.services))
            break; // and has said nothing
        if (!how.follow)
            std::rethrow_exception(failure);
        co_await await_daemon(with, failure);
        out.begin_again();
        how.tail.clear();
        if (const auto until = out.shown_until())
            how.since = *until;
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
        .check([](std::string& text) {
            const std::string digits = text.substr(text.starts_with('-') ? 1 : 0);
            const bool number =
                !digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos;
            if (number && text.starts_with('-'))
                text = "all"; // as Docker has it
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
    command.add_option("SERVICE", how->services,
        "services to show, and containers of run by name or ID; all services when none is named");
    command.runs([how, since, until](context& with) {
        if (!since->empty())
            how->since = moment_of("--since", *since);
        if (!until->empty())
            how->until = moment_of("--until", *until);
        return print_logs(with, with.project_name(), *how);
    });
}

} // namespace compose::cli
