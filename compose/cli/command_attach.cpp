#include "compose/cli/context.hpp"
#include "compose/cli/reconnect.hpp"
#include "compose/cli/session.hpp"
#include "compose/cli/terminal.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <unistd.h>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct attach_flags {
    int index = 0;
    bool no_stdin = false;
    bool sig_proxy = true;
    std::string detach_keys = "ctrl-p,ctrl-q";
    std::string service;
};

engine::task<> attach(context& with, std::shared_ptr<attach_flags> flags) {
    detach_sequence(flags->detach_keys); // throws for what are no keys, before anything is done
    const std::string name = with.project_name();
    api::client daemon = with.daemon();
    const json::object container = co_await find_container(with, name, flags->service, flags->index);
    const bool tty = container.at("tty").as_bool() && is_terminal(STDIN_FILENO);
    const bool input = !flags->no_stdin;
    api::target target(fmt::format("/api/v1/containers/{}/attach", text_of(container, "id")));
    target.with("stdin", input);
    std::unique_ptr<api::client_connection> opened = co_await open_session(with, target.text(), "{}");
    if (!opened)
        co_return;
    session_options how{.tty = tty && input,
        .input = input,
        .signals = flags->sig_proxy && !tty,
        .detach_keys = tty ? flags->detach_keys : std::string()};
    with.exit_code =
        co_await converse_with_container(with, text_of(container, "id"), std::move(opened), std::move(how));
}

} // namespace

void add_attach(const command_line& app) {
    const auto flags = std::make_shared<attach_flags>();
    const command_line command = app.add_subcommand(
        "attach", "Attach local standard input, output, and error streams to a service's running container");
    command.add_option("--detach-keys", flags->detach_keys, "Override the key sequence for detaching");
    command.add_option("--index", flags->index, "Index of the container if service has multiple replicas");
    command.add_flag("--no-stdin", flags->no_stdin, "Do not attach STDIN");
    command.add_flag("--sig-proxy", flags->sig_proxy, "Proxy all received signals to the process");
    command.add_option("SERVICE", flags->service, "service").required();
    command.runs([flags](context& with) { return attach(with, flags); });
}

} // namespace compose::cli
