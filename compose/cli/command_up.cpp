#include "compose/cli/context.hpp"
#include "compose/cli/log_printer.hpp"
#include "compose/cli/progress.hpp"
#include "compose/encode/encode.hpp"
#include "compose/load/contents.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <csignal>
#include <cstdio>

namespace compose::cli {

namespace json = boost::json;

namespace {

constexpr int interrupted = 130; // 128 + SIGINT

struct up_flags {
    bool detach = false;
    bool wait = false;
    int wait_timeout = 0;
    std::optional<int> timeout; // seconds; -1: without end
    bool force_recreate = false;
    bool no_deps = false;
    bool no_start = false;
    bool remove_orphans = false;
    bool renew_anonymous = false;
    bool dry_run = false;
    bool no_color = false;
    bool timestamps = false;
    std::vector<std::string> services;
};

std::string target_of(const project& wanted, const up_flags& flags) {
    std::string target = fmt::format(
        "/api/v1/projects/{}?dependencies={:d}&start={:d}&force_recreate={:d}&remove_orphans={:d}&wait={:d}",
        wanted.name, !flags.no_deps, !flags.no_start, flags.force_recreate, flags.remove_orphans, flags.wait);
    if (flags.renew_anonymous)
        target += "&renew_anonymous=1";
    if (flags.wait_timeout > 0)
        target += fmt::format("&wait_timeout={}", flags.wait_timeout);
    if (flags.timeout)
        target += fmt::format("&timeout={}", *flags.timeout);
    if (!flags.services.empty())
        target += "&" + services_query(flags.services);
    return target;
}

void warn_of_orphans(const json::object& first) {
    const json::value* orphans = first.if_contains("orphans");
    if (orphans == nullptr || orphans->as_array().empty())
        return;
    std::vector<std::string> names;
    for (const json::value& each : orphans->as_array())
        names.emplace_back(each.as_string());
    fmt::print(stderr,
        "warning: Found orphan containers ([{}]) for this project. If you removed or renamed this service in "
        "your "
        "compose file, you can run this command with the --remove-orphans flag to clean it up.\n",
        fmt::join(names, " "));
}

engine::task<> stop_all(context& with, std::string name, up_flags flags, std::string action) {
    api::client daemon = with.daemon();
    std::string target =
        fmt::format("/api/v1/projects/{}/{}?{}", name, action, services_query(flags.services));
    if (action == "stop" && flags.timeout)
        target += fmt::format("&timeout={}", *flags.timeout);
    std::unique_ptr<api::client_stream> stream = co_await daemon.open("POST", target);
    if (action == "stop")
        co_await follow_operation(
            with, std::move(stream), "Stopping", nullptr, drawing::plain); // among the logs
    else // what the kill does shows in the stream of the stop, which goes on
        while (co_await stream->next_line()) {
        }
}

/// Ctrl-C while `up` is in the foreground: the first stops gracefully, a second one kills.
class interrupter : public std::enable_shared_from_this<interrupter> {
  public:
    interrupter(context& with, std::string project, up_flags flags)
        : with_(with), project_(std::move(project)), flags_(std::move(flags)),
          signals_(with.io, SIGINT, SIGTERM) {}

    void listen() {
        signals_.async_wait([self = shared_from_this()](boost::system::error_code cancelled, int) {
            if (!cancelled)
                self->stop();
        });
    }
    void end() { signals_.cancel(); }
    bool interrupted() const noexcept { return times_ > 0; }

  private:
    void stop() {
        const bool first = ++times_ == 1;
        if (first)
            fmt::print(stderr, "\nGracefully Stopping... press Ctrl+C again to force\n");
        boost::asio::co_spawn(
            with_.io, stop_all(with_, project_, flags_, first ? "stop" : "kill"), [](std::exception_ptr) {
                // A second operation takes over from the first: the one that ends last is what counts.
            });
        listen();
    }

    context& with_;
    std::string project_;
    up_flags flags_;
    boost::asio::signal_set signals_;
    int times_ = 0;
};

/// The foreground: logs until all has ended.
engine::task<> attach(
    context& with, std::string project, up_flags flags, std::chrono::system_clock::time_point since) {
    log_options how;
    how.follow = true;
    how.color = !flags.no_color;
    how.timestamps = flags.timestamps;
    how.services = flags.services;
    how.since = since; // what ran before is not shown again
    co_await print_logs(with, std::move(project), how);
}

engine::task<> dry_run(context& with, project wanted, up_flags flags) {
    api::client daemon = with.daemon();
    api::request_body body{.content_type = "application/json", .text = to_wire(wanted)};
    const std::string text =
        co_await daemon.call("PUT", target_of(wanted, flags) + "&dry_run=1", std::move(body));
    const json::value reply = parse_reply(text);
    for (const json::value& each : reply.at("steps").as_array()) {
        const json::object& step = each.as_object();
        const std::string reason = text_of(step, "reason");
        fmt::print("DRY-RUN MODE - {} {}{}\n", text_of(step, "action"), text_of(step, "name"),
            reason.empty() ? "" : fmt::format(" ({})", reason));
    }
}

engine::task<> up(context& with, std::shared_ptr<up_flags> flags) {
    loaded read = with.load_files(flags->services);
    if (!read.ignored.empty())
        fmt::print(
            stderr, "warning: composed does not act on these yet: {}\n", fmt::join(read.ignored, ", "));
    project wanted = std::move(read.project);
    read_contents(wanted, read.variables);
    check_services(wanted, flags->services);
    if (wanted.services.empty())
        throw error(error_kind::invalid, "no service selected");
    if (flags->dry_run) {
        co_await dry_run(with, wanted, *flags);
        co_return;
    }
    const auto began = std::chrono::system_clock::now();
    api::client daemon = with.daemon();
    api::request_body body{.content_type = "application/json", .text = to_wire(wanted)};
    std::unique_ptr<api::client_stream> stream =
        co_await daemon.open("PUT", target_of(wanted, *flags), std::move(body));
    const bool foreground = !flags->detach && !flags->wait && !flags->no_start;
    // In the background a Ctrl-C ends this program as it ends any other: the daemon carries on.
    std::shared_ptr<interrupter> control;
    if (foreground) {
        control = std::make_shared<interrupter>(with, wanted.name, *flags);
        control->listen();
    }
    json::object first;
    std::exception_ptr failure;
    try {
        co_await follow_operation(with, std::move(stream), "Running", &first);
    } catch (const error&) {
        failure = std::current_exception();
    }
    if (failure && !(control && control->interrupted())) // else it ended because the stop has taken over
        std::rethrow_exception(failure);
    warn_of_orphans(first);
    if (!control)
        co_return;
    co_await attach(with, wanted.name, *flags, began);
    control->end();
    if (control->interrupted())
        with.exit_code = interrupted;
}

} // namespace

void add_up(CLI::App& app, action& chosen) {
    const auto flags = std::make_shared<up_flags>();
    CLI::App* command = app.add_subcommand("up", "Create and start containers");
    command->add_flag("-d,--detach", flags->detach, "Detached mode: run containers in the background");
    command->add_flag(
        "--wait", flags->wait, "Wait for services to be running|healthy; implies detached mode");
    command->add_option("--wait-timeout", flags->wait_timeout, "Maximum duration in seconds to wait")
        ->check(CLI::Validator(whole_seconds, ""));
    command->add_flag(
        "--force-recreate", flags->force_recreate, "Recreate containers even if nothing has changed");
    add_timeout(*command, flags->timeout);
    command->add_flag("--no-deps", flags->no_deps, "Don't start linked services");
    command->add_flag("--no-start", flags->no_start, "Don't start the services after creating them");
    command->add_flag("--remove-orphans", flags->remove_orphans,
        "Remove containers for services not defined in the Compose file");
    command->add_flag("-V,--renew-anon-volumes", flags->renew_anonymous,
        "Recreate anonymous volumes instead of retrieving data from the previous containers");
    command->add_flag("--dry-run", flags->dry_run, "Say what would be done, and do nothing");
    command->add_flag("--no-color", flags->no_color, "Produce monochrome output");
    command->add_flag("--timestamps", flags->timestamps, "Show timestamps");
    command->add_option("SERVICE", flags->services, "services to bring up; all when none is named");
    command->callback([flags, &chosen] { chosen = [flags](context& with) { return up(with, flags); }; });
}

} // namespace compose::cli
