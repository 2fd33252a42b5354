#include "compose/cli/context.hpp"
#include "compose/cli/log_printer.hpp"
#include "compose/cli/progress.hpp"
#include "compose/cli/providers.hpp"
#include "compose/cli/reconnect.hpp"
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

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <set>
#include <utility>

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
    bool no_recreate = false;
    bool recreate_deps = false;
    bool no_deps = false;
    bool no_start = false;
    bool build = false;
    bool no_build = false;
    bool remove_orphans = false;
    bool ignore_orphans = false; // COMPOSE_IGNORE_ORPHANS, which may stand in .env
    bool renew_anonymous = false;
    bool dry_run = false;
    bool no_color = false;
    bool no_prefix = false;
    bool timestamps = false;
    bool quiet_pull = false;
    bool abort_on_exit = false;
    bool abort_on_failure = false;
    bool attach_dependencies = false;
    bool ignored = false;
    std::string exit_code_from;
    std::string pull;
    std::vector<std::string> attach;
    std::vector<std::string> no_attach;
    std::vector<std::string> scales;
    std::vector<std::string> services;
};

/// The words of Docker Compose for what does not go together.
void check(const up_flags& flags) {
    const auto refuse = [](bool both, std::string_view words) {
        if (both)
            throw error(error_kind::invalid, std::string(words));
    };
    const bool aborts = flags.abort_on_exit || flags.abort_on_failure || !flags.exit_code_from.empty();
    refuse(flags.build && flags.no_build, "--build and --no-build are incompatible");
    refuse(flags.force_recreate && flags.no_recreate, "--force-recreate and --no-recreate are incompatible");
    refuse(flags.recreate_deps && flags.no_recreate,
        "--always-recreate-deps and --no-recreate are incompatible");
    refuse(flags.abort_on_exit && flags.abort_on_failure,
        "--abort-on-container-failure cannot be combined with --abort-on-container-exit");
    refuse(flags.wait && (aborts || !flags.attach.empty() || flags.attach_dependencies),
        "--wait cannot be combined with --abort-on-container-exit, --attach or --attach-dependencies");
    refuse(flags.detach && (aborts || !flags.attach.empty() || flags.attach_dependencies),
        "--detach cannot be combined with --abort-on-container-exit, --abort-on-container-failure, "
        "--exit-code-from, --attach or --attach-dependencies");
}

std::string target_of(const project& wanted, const up_flags& flags) {
    api::target target = project_target(wanted.name);
    target.with("dependencies", !flags.no_deps).with("start", !flags.no_start).with("wait", flags.wait);
    target.with("force_recreate", flags.force_recreate).with("remove_orphans", flags.remove_orphans);
    for (const auto& [on, name] : {std::pair(flags.renew_anonymous, "renew_anonymous"),
             {flags.no_recreate, "keep_containers"}, {flags.recreate_deps, "recreate_dependencies"}})
        if (on)
            target.with(name, true);
    if (flags.wait_timeout > 0)
        target.with("wait_timeout", flags.wait_timeout);
    if (flags.timeout)
        target.with("timeout", *flags.timeout);
    if (flags.dry_run)
        target.with("dry_run", true);
    add_services(target, flags.services);
    return target.text();
}

void warn_of_orphans(const json::object& first, const up_flags& flags) {
    const json::value* orphans = first.if_contains("orphans");
    if (orphans == nullptr || orphans->as_array().empty() || flags.ignore_orphans)
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
    api::target target = project_target(name, "/" + action);
    add_services(target, flags.services);
    if (action == "stop" && flags.timeout)
        target.with("timeout", *flags.timeout);
    std::unique_ptr<api::client_stream> stream = co_await daemon.open("POST", target.text());
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
            with_.io, stop_all(with_, project_, flags_, first ? "stop" : "kill"), [](std::exception_ptr why) {
                // A second operation takes over from the first: the one that ends last is what counts.
                if (has_gone(why))
                    fmt::print(stderr, "composed does not answer; press Ctrl+C again once it is back\n");
            });
        listen();
    }

    context& with_;
    std::string project_;
    up_flags flags_;
    boost::asio::signal_set signals_;
    int times_ = 0;
};

/// What --abort-on-container-exit and its like make of the ends of containers.
class aborter {
  public:
    aborter(context& with, std::string project, up_flags flags)
        : with_(with), project_(std::move(project)), flags_(std::move(flags)) {}

    bool used() const {
        return flags_.abort_on_exit || flags_.abort_on_failure || !flags_.exit_code_from.empty();
    }

    void ended(const std::string& service, int code, bool restarting) {
        if (restarting)
            return;
        const bool meant = flags_.exit_code_from.empty() ? !code_ : service == flags_.exit_code_from;
        const bool aborts = !flags_.abort_on_failure || code != 0;
        if (meant && (aborts || code_))
            code_ = code;
        if (!aborts || std::exchange(aborting_, true))
            return;
        fmt::print(stderr, "Aborting on container exit...\n");
        boost::asio::co_spawn(with_.io, stop_all(with_, project_, flags_, "stop"), [](std::exception_ptr) {});
    }

    std::optional<int> code() const { return code_; }

  private:
    context& with_;
    std::string project_;
    up_flags flags_;
    bool aborting_ = false;
    std::optional<int> code_; // of the first, or of the service that was named
};

/// Those whose output is not shown: all but what was asked for.
std::set<std::string> hidden_of(const project& of, const up_flags& flags) {
    std::set<std::string> hidden(flags.no_attach.begin(), flags.no_attach.end());
    const auto& only = !flags.attach.empty()       ? flags.attach
                       : flags.attach_dependencies ? std::vector<std::string>()
                                                   : flags.services;
    for (const auto& [name, service] : of.services) {
        const bool asked_for = std::find(only.begin(), only.end(), name) != only.end();
        if (only.empty() ? !service.attach : !asked_for)
            hidden.insert(name);
    }
    return hidden;
}

/// The foreground: logs until all has ended.
engine::task<> attach(context& with, std::shared_ptr<const project> of, up_flags flags,
    std::chrono::system_clock::time_point since) {
    log_options how;
    how.follow = true;
    how.color = !flags.no_color;
    how.prefix = !flags.no_prefix;
    how.timestamps = flags.timestamps;
    how.since = since; // what ran before is not shown again
    how.hidden = hidden_of(*of, flags);
    aborter on_exit(with, of->name, flags);
    if (on_exit.used())
        how.ended = [&on_exit](const std::string& service, int code, bool restarting) {
            on_exit.ended(service, code, restarting);
        };
    else if (flags.attach.empty() && !flags.attach_dependencies)
        how.services = flags.services;
    co_await print_logs(with, of->name, how);
    with.exit_code = on_exit.code().value_or(0);
}

engine::task<> dry_run(context& with, project wanted, up_flags flags) {
    api::client daemon = with.daemon();
    api::request_body body{.content_type = "application/json", .text = to_wire(wanted)};
    const std::string text = co_await daemon.call("PUT", target_of(wanted, flags), std::move(body));
    const json::value reply = parse_reply(text);
    for (const json::value& each : reply.at("steps").as_array()) {
        const json::object& step = each.as_object();
        const std::string reason = text_of(step, "reason");
        fmt::print("DRY-RUN MODE - {} {}{}\n", text_of(step, "action"), text_of(step, "name"),
            reason.empty() ? "" : fmt::format(" ({})", reason));
    }
}

/// As the files and the flags have it.
engine::task<project> load_wanted(context& with, std::shared_ptr<up_flags> flags) {
    loaded read = with.load_files(flags->services);
    check_services(read.project, flags->services);
    const bool named = !flags->services.empty();
    const std::set<std::string> chosen = chosen_services(read.project, flags->services, !flags->no_deps);
    const std::vector<provider> providers = take_providers(read, flags->services, !flags->no_deps);
    std::erase_if(
        flags->services, [&](const std::string& name) { return !read.project.services.contains(name); });
    for (const std::string& warning : check_supported(read))
        fmt::print(stderr, "warning: {}\n", warning);
    if (!read.ignored.empty())
        fmt::print(
            stderr, "warning: composed does not act on these yet: {}\n", fmt::join(read.ignored, ", "));
    project wanted = std::move(read.project);
    if (const auto found = read.variables.find("COMPOSE_IGNORE_ORPHANS"); found != read.variables.end())
        flags->ignore_orphans = found->second == "1" || found->second == "true";
    if (flags->ignore_orphans && flags->remove_orphans)
        throw error(error_kind::invalid, "COMPOSE_IGNORE_ORPHANS and --remove-orphans cannot be combined");
    read_contents(wanted, read.variables, chosen);
    for (const auto* names : {&flags->attach, &flags->no_attach})
        check_services(wanted, *names);
    if (!flags->exit_code_from.empty() && !wanted.services.contains(flags->exit_code_from))
        throw error(error_kind::not_found, fmt::format("no such service: {}", flags->exit_code_from));
    if (wanted.services.empty() && providers.empty())
        throw error(error_kind::invalid, "no service selected");
    apply_scales(&wanted, flags->scales);
    if (!flags->dry_run)
        provide(wanted, providers, read.variables);
    if (named && flags->services.empty()) // nothing but what is provided
        wanted.services.clear();
    if (!flags->dry_run && !wanted.services.empty())
        co_await apply_pull_policy(with, wanted, flags->pull, flags->services, flags->quiet_pull);
    co_return wanted;
}

/// Asks for it and looks on until it is there, or has failed. When the daemon goes meanwhile, the next one
/// carries on with what the first line has told of: it is asked again for the same, and once is enough to
/// make anew.
engine::task<std::shared_ptr<interrupter>> bring_up(
    context& with, std::shared_ptr<const project> wanted, up_flags flags, operation_told* told) {
    using std::chrono::steady_clock;
    const bool foreground = !flags.detach && !flags.wait && !flags.no_start;
    // In the background a Ctrl-C ends this program as it ends any other: the daemon carries on.
    std::shared_ptr<interrupter> control;
    const auto until = steady_clock::now() + std::chrono::seconds(flags.wait_timeout);
    bool heard = false;
    for (;;) {
        std::exception_ptr failure;
        try {
            api::client daemon = with.daemon();
            api::request_body body{.content_type = "application/json", .text = to_wire(*wanted)};
            std::unique_ptr<api::client_stream> stream =
                co_await daemon.open("PUT", target_of(*wanted, flags), std::move(body));
            heard = true;
            if (foreground && !control) {
                control = std::make_shared<interrupter>(with, wanted->name, flags);
                control->listen();
            }
            co_await follow_operation(with, std::move(stream), "Running", told);
            co_return control;
        } catch (const error&) {
            failure = std::current_exception();
        }
        if (control && control->interrupted())
            co_return control; // it ended because the stop has taken over
        if (!heard || told->end)
            std::rethrow_exception(failure);
        co_await await_daemon(with, failure);
        if (control && control->interrupted())
            co_return control;
        if (!told->first.empty())
            flags.force_recreate = flags.renew_anonymous = false;
        const auto left = std::chrono::ceil<std::chrono::seconds>(until - steady_clock::now());
        if (flags.wait_timeout > 0)
            flags.wait_timeout = std::max(1, static_cast<int>(left.count()));
    }
}

engine::task<> up(context& with, std::shared_ptr<up_flags> flags) {
    check(*flags);
    flags->dry_run |= with.dry_run;
    warn_of_build(flags->build);
    const auto loaded_project = std::make_shared<project>(co_await load_wanted(with, flags));
    const project& wanted = *loaded_project;
    if (wanted.services.empty())
        co_return;
    if (flags->dry_run) {
        co_await dry_run(with, wanted, *flags);
        co_return;
    }
    const auto began = std::chrono::system_clock::now();
    operation_told told;
    const std::shared_ptr<interrupter> control = co_await bring_up(with, loaded_project, *flags, &told);
    warn_of_orphans(told.first, *flags);
    if (!control)
        co_return;
    co_await attach(with, loaded_project, *flags, began);
    control->end();
    if (control->interrupted())
        with.exit_code = interrupted;
}

/// What `up` and `create` have in common.
void add_making(const command_line& command, up_flags& flags) {
    command.add_flag(
        "--force-recreate", flags.force_recreate, "Recreate containers even if nothing has changed");
    command.add_flag("--no-recreate", flags.no_recreate, "If containers already exist, don't recreate them");
    command.add_flag("--no-build", flags.no_build, "Don't build an image; composed never does");
    add_build_flags(command, flags.build);
    command
        .add_flag("--remove-orphans", flags.remove_orphans,
            "Remove containers for services not defined in the Compose file")
        .or_variable("COMPOSE_REMOVE_ORPHANS");
    command.add_option("--scale", flags.scales, "Scale SERVICE to NUM instances, as SERVICE=NUM").one_each();
    add_pull_option(command, flags.pull);
    command.add_flag("--quiet-pull", flags.quiet_pull, "Pull without printing progress information");
    command.add_flag("-y,--yes", flags.ignored, "Assume yes: composed asks nothing here");
}

void add_foreground(const command_line& command, up_flags& flags) {
    const auto list = [&](const std::string& name, std::vector<std::string>& into, const std::string& help) {
        command.add_option(name, into, help).one_each();
    };
    command.add_flag("--abort-on-container-exit", flags.abort_on_exit,
        "Stops all containers if any container was stopped");
    command.add_flag("--abort-on-container-failure", flags.abort_on_failure,
        "Stops all containers if any container exited with failure");
    command.add_option("--exit-code-from", flags.exit_code_from,
        "Return the exit code of the selected service; implies --abort-on-container-exit");
    list("--attach", flags.attach, "Restrict attaching to the specified services");
    list("--no-attach", flags.no_attach, "Do not attach (stream logs) to the specified services");
    command.add_flag(
        "--attach-dependencies", flags.attach_dependencies, "Attach to log output of dependent services too");
    command.add_flag("--no-color", flags.no_color, "Produce monochrome output");
    command.add_flag("--no-log-prefix", flags.no_prefix, "Don't print prefix in logs");
    command.add_flag("--timestamps", flags.timestamps, "Show timestamps");
    command.add_flag("--menu", flags.ignored, "There is no menu").hidden();
}

} // namespace

void add_up(const command_line& app) {
    const auto flags = std::make_shared<up_flags>();
    const command_line command = app.add_subcommand("up", "Create and start containers");
    command.add_flag("-d,--detach", flags->detach, "Detached mode: run containers in the background");
    command.add_flag("--wait", flags->wait, "Wait for services to be running|healthy; implies detached mode");
    command.add_option("--wait-timeout", flags->wait_timeout, "Maximum duration in seconds to wait")
        .check(whole_seconds);
    add_timeout(command, flags->timeout);
    command.add_flag("--no-deps", flags->no_deps, "Don't start linked services");
    command.add_flag("--no-start", flags->no_start, "Don't start the services after creating them");
    command.add_flag("--always-recreate-deps", flags->recreate_deps,
        "Recreate dependent containers, those that the named services depend on");
    command.add_flag("-V,--renew-anon-volumes", flags->renew_anonymous,
        "Recreate anonymous volumes instead of retrieving data from the previous containers");
    command.add_flag("--dry-run", flags->dry_run, "Say what would be done, and do nothing");
    add_making(command, *flags);
    add_foreground(command, *flags);
    command.add_option("SERVICE", flags->services, "services to bring up; all when none is named");
    command.runs([flags](context& with) { return up(with, flags); });
}

void add_create(const command_line& app) {
    const auto flags = std::make_shared<up_flags>();
    flags->no_start = true;
    const command_line command = app.add_subcommand("create", "Creates containers for a service");
    add_making(command, *flags);
    command.add_option("SERVICE", flags->services, "services; all when none is named");
    command.runs([flags](context& with) { return up(with, flags); });
}

} // namespace compose::cli
