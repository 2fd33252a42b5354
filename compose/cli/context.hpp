#pragma once

#include "api/http/client.hpp"
#include "api/http/query.hpp"
#include "compose/cli/command_line.hpp"
#include "compose/load/loader.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
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
    std::string progress = "auto";
    bool dry_run = false;
    int exit_code = 0;

    api::client daemon();

    /// The project from its files; warnings go to stderr, each once. `services`: named on the command line.
    project load_project(const std::vector<std::string>& services = {});
    /// The same with all that the files say.
    loaded load_files(const std::vector<std::string>& services = {});

    /// The project from its files, with what is in its secrets; where there are none, as the daemon knows the
    /// one that -p names. What is provided for `services` is, with `dependencies` what they depend on as
    /// well.
    engine::task<project> load_or_known(std::vector<std::string> services = {}, bool dependencies = true);

    /// The name alone: without a file where -p or COMPOSE_PROJECT_NAME gives it.
    std::string project_name();

  private:
    // A command may read its files more than once.
    std::optional<std::string> standard_input_;
    std::set<std::string> warned_;
};

/// Adds a command to `app`.
using add_command = void (*)(const command_line& app);

void add_up(const command_line& app);
void add_down(const command_line& app);
void add_ps(const command_line& app);
void add_ls(const command_line& app);
void add_logs(const command_line& app);
void add_lifecycle(const command_line& app); // start, stop, restart, kill, rm
void add_events(const command_line& app);
void add_run(const command_line& app);
void add_attach(const command_line& app);
void add_port(const command_line& app);
void add_top(const command_line& app);
void add_stats(const command_line& app);
void add_wait(const command_line& app);
void add_scale(const command_line& app);
void add_cp(const command_line& app);
void add_create(const command_line& app);
void add_exec(const command_line& app);
void add_config(const command_line& app);
void add_images(const command_line& app); // images, load
void add_pull(const command_line& app);
void add_history(const command_line& app); // history, diff, rollback
void add_volumes(const command_line& app); // volumes, volume
void add_secret(const command_line& app);  // secret, configs
void add_version(const command_line& app);

/// The path of a project in the API, and what is below it.
api::target project_target(const std::string& project, const std::string& below = {});

/// Names them in the query; nothing for none, which means all. Throws error{not_found} for an empty name.
void add_services(api::target& to, const std::vector<std::string>& services);

/// Throws error{not_found} naming a service that the project does not have.
void check_services(const project& of, const std::vector<std::string>& services);

/// Where the containers of a project are, those of `services` or all.
std::string containers_target(const std::string& project, const std::vector<std::string>& services = {});

/// Those, as the API tells of them. Of a project that was not brought up there are none; services must be
/// in its files then. Throws error{not_found} for one that there is none of.
engine::task<boost::json::array> list_containers(
    context& with, std::string project, std::vector<std::string> services);

/// Whether it is the project that the daemon does not know, after an error{not_found}. Throws
/// error{not_found} for services that are not in its files either.
engine::task<bool> was_not_brought_up(context& with, std::string project, std::vector<std::string> services);

/// A running container of the service: that with the number `index`, or the first (0), as the API tells of
/// it. Throws error when none of it runs.
engine::task<boost::json::object> find_container(
    context& with, std::string project, std::string service, int index);

/// DELETE of ROUTE/NAME for each, which is printed; what some could not be removed for is thrown once all
/// were tried.
engine::task<> remove_each(context& with, std::string route, std::vector<std::string> names);

/// --build and its kin of what makes containers, which have no effect yet; who gives the first is told.
void add_build_flags(const command_line& command, bool& build);
void warn_of_build(bool build);

/// --pull of what makes containers.
option add_pull_option(const command_line& command, std::string& into);

/// What --pull asks for: `always` pulls the images of `services` (all) now, `never` keeps the daemon from it.
/// Without `quiet` progress is drawn.
engine::task<> apply_pull_policy(
    context& with, project& wanted, std::string policy, std::vector<std::string> services, bool quiet);

/// SERVICE=N of --scale and `scale`, into the project (null: only looked at). Throws error for what is none.
void apply_scales(project* to, const std::vector<std::string>& scales);

/// What is wrong with a number of seconds on the command line; empty when nothing is.
std::string whole_seconds(std::string& text);

/// -t and --timeout of what stops containers, in seconds. -1 is without end, as Docker's.
option add_timeout(const command_line& command, std::optional<int>& into);

/// JSON from the daemon. Throws error{internal} for what is none.
boost::json::value parse_reply(const std::string& text);

/// A member's text, or empty.
std::string text_of(const boost::json::object& object, std::string_view key);

} // namespace compose::cli
