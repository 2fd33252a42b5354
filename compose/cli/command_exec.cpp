#include "compose/cli/context.hpp"
#include "compose/cli/session.hpp"
#include "compose/cli/terminal.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <cstdlib>
#include <unistd.h>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct exec_flags {
    bool no_tty = false;
    bool detach = false;
    bool privileged = false;
    bool interactive = true;
    bool tty = true;
    std::string detach_keys = "ctrl-p,ctrl-q";
    int index = 0;
    std::string user;
    std::string working_dir;
    std::vector<std::string> environment;
    std::string service;
    std::vector<std::string> command;
};

json::object request_of(const exec_flags& flags, bool tty) {
    json::object request{{"args", json::value_from(flags.command)}, {"tty", tty},
        {"stdin", flags.interactive && !flags.detach}};
    if (flags.detach)
        request["detach"] = true;
    if (flags.privileged)
        request["privileged"] = true;
    if (!flags.user.empty())
        request["user"] = flags.user;
    if (!flags.working_dir.empty())
        request["cwd"] = flags.working_dir;
    json::array env;
    for (const std::string& entry : flags.environment) {
        // NAME alone passes on what is set here, as everywhere in Compose.
        const char* own = entry.find('=') == std::string::npos ? std::getenv(entry.c_str()) : nullptr;
        if (own != nullptr)
            env.emplace_back(entry + "=" + own);
        else if (entry.find('=') != std::string::npos)
            env.emplace_back(entry);
    }
    request["env"] = std::move(env);
    if (tty) {
        const terminal_size size = size_of_terminal(STDOUT_FILENO);
        request["rows"] = size.rows;
        request["columns"] = size.columns;
    }
    return request;
}

engine::task<> exec(context& with, std::shared_ptr<exec_flags> flags) {
    detach_sequence(flags->detach_keys); // throws for what are no keys, before anything is done
    const std::string name = with.project_name();
    api::client daemon = with.daemon();
    const json::object container = co_await find_container(with, name, flags->service, flags->index);
    const bool tty = flags->tty && !flags->no_tty && !flags->detach && is_terminal(STDIN_FILENO) &&
                     is_terminal(STDOUT_FILENO);
    std::string request = json::serialize(request_of(*flags, tty));
    const std::string target = fmt::format("/api/v1/containers/{}/exec", text_of(container, "id"));
    if (flags->detach) {
        api::request_body body{.content_type = "application/json", .text = std::move(request)};
        co_await daemon.call("POST", target, std::move(body));
        co_return;
    }
    std::unique_ptr<api::client_connection> opened = co_await open_session(with, target, std::move(request));
    if (!opened)
        co_return;
    session_options how{.tty = tty, .input = flags->interactive};
    if (tty)
        how.detach_keys = flags->detach_keys;
    with.exit_code = co_await converse(with, std::move(opened), std::move(how));
}

} // namespace

void add_exec(const command_line& app) {
    const auto flags = std::make_shared<exec_flags>();
    const command_line command = app.add_subcommand("exec", "Execute a command in a running container");
    command.add_flag("-T,--no-tty", flags->no_tty,
        "Disable pseudo-TTY allocation; it is off where stdin or stdout is none");
    command.add_option("-u,--user", flags->user, "Run the command as this user");
    command.add_option("-w,--workdir", flags->working_dir, "Path to workdir directory for this command");
    command.add_option("-e,--env", flags->environment, "Set environment variables").one_each();
    command.add_flag("-d,--detach", flags->detach, "Detached mode: run command in the background");
    command.add_flag("--privileged", flags->privileged, "Give extended privileges to the process");
    command.add_flag("-i,--interactive", flags->interactive, "Keep STDIN open even if not attached").hidden();
    command.add_flag("-t,--tty", flags->tty, "Always so where stdin is a terminal").hidden();
    command.add_option("--detach-keys", flags->detach_keys, "Override the key sequence for detaching");
    command.add_option("--index", flags->index, "Index of the container if service has multiple replicas");
    command.add_option("SERVICE", flags->service, "service").required();
    command.add_option("COMMAND", flags->command, "command and its arguments").required();
    command.runs([flags](context& with) { return exec(with, flags); });
}

} // namespace compose::cli
