#pragma once

#include "api/http/client.hpp"
#include "compose/load/loader.hpp"

#include <CLI/CLI.hpp>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace compose::cli {

/// What every command has: the flags before it, the daemon, the project.
class context {
  public:
    explicit context(boost::asio::io_context& on) : io(on) {}

    boost::asio::io_context& io;
    std::string host; // of the daemon
    load_options files;
    std::string ansi = "auto";
    int exit_code = 0;

    api::client daemon();

    /// The project from its files; warnings go to stderr. `services`: named on the command line.
    project load_project(const std::vector<std::string>& services = {});
    /// The same with all that the files say.
    loaded load_files(const std::vector<std::string>& services = {});

    /// The project from its files, with what is in its secrets; where there are none, as the daemon knows the
    /// one that -p names. What is provided for `services` is, with `dependencies` what they depend on as
    /// well.
    engine::task<project> load_or_known(std::vector<std::string> services = {}, bool dependencies = true);

    /// The name alone: without a file where -p or COMPOSE_PROJECT_NAME gives it.
    std::string project_name();
};

/// What runs when a command was given. The parsed values live in what it has captured.
using action = std::function<engine::task<>(context&)>;

/// Adds a command to `app`; `chosen` gets its action when the command line has it.
using add_command = void (*)(CLI::App& app, action& chosen);

void add_up(CLI::App& app, action& chosen);
void add_down(CLI::App& app, action& chosen);
void add_ps(CLI::App& app, action& chosen);
void add_ls(CLI::App& app, action& chosen);
void add_logs(CLI::App& app, action& chosen);
void add_lifecycle(CLI::App& app, action& chosen); // start, stop, restart, kill, rm
void add_events(CLI::App& app, action& chosen);
void add_run(CLI::App& app, action& chosen);
void add_attach(CLI::App& app, action& chosen);
void add_port(CLI::App& app, action& chosen);
void add_top(CLI::App& app, action& chosen);
void add_stats(CLI::App& app, action& chosen);
void add_wait(CLI::App& app, action& chosen);
void add_scale(CLI::App& app, action& chosen);
void add_cp(CLI::App& app, action& chosen);
void add_create(CLI::App& app, action& chosen);
void add_exec(CLI::App& app, action& chosen);
void add_config(CLI::App& app, action& chosen);
void add_images(CLI::App& app, action& chosen); // images, load
void add_pull(CLI::App& app, action& chosen);
void add_history(CLI::App& app, action& chosen); // history, diff, rollback
void add_volumes(CLI::App& app, action& chosen);
void add_secret(CLI::App& app, action& chosen); // secret, configs
void add_version(CLI::App& app, action& chosen);

/// "services=a,b" for a query, escaped; empty for none.
std::string services_query(const std::vector<std::string>& services);

/// Throws error{not_found} naming a service that the project does not have.
void check_services(const project& of, const std::vector<std::string>& services);

/// Where the containers of a project are, those of `services` or all.
std::string containers_target(const std::string& project, const std::vector<std::string>& services = {});

/// A running container of the service: that with the number `index`, or the first (0), as the API tells of
/// it. Throws error when none of it runs.
engine::task<boost::json::object> find_container(
    context& with, std::string project, std::string service, int index);

/// --pull of what makes containers.
CLI::Option* add_pull_option(CLI::App& command, std::string& into);

/// What --pull asks for: `always` pulls the images of `services` (all) now, `never` keeps the daemon from it.
/// Without `quiet` progress is drawn.
engine::task<> apply_pull_policy(
    context& with, project& wanted, std::string policy, std::vector<std::string> services, bool quiet);

/// SERVICE=N of --scale and `scale`, into the project (null: only looked at). Throws error for what is none.
void apply_scales(project* to, const std::vector<std::string>& scales);

/// What is wrong with a number of seconds on the command line; empty when nothing is.
std::string whole_seconds(std::string& text);

/// -t and --timeout of what stops containers, in seconds. -1 is without end, as Docker's.
CLI::Option* add_timeout(CLI::App& command, std::optional<int>& into);

/// JSON from the daemon. Throws error{internal} for what is none.
boost::json::value parse_reply(const std::string& text);

/// A member's text, or empty.
std::string text_of(const boost::json::object& object, std::string_view key);

} // namespace compose::cli
