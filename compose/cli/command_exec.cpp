#include "api/http/frames.hpp"
#include "compose/cli/context.hpp"
#include "compose/cli/terminal.hpp"
#include "compose/model/error.hpp"
#include "engine/system/fd.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace compose::cli {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

struct exec_flags {
    bool no_tty = false;
    int index = 1;
    std::string user;
    std::string working_dir;
    std::vector<std::string> environment;
    std::string service;
    std::vector<std::string> command;
};

std::string find_container(const json::array& containers, const exec_flags& flags) {
    bool known = false;
    for (const json::value& each : containers) {
        const json::object& container = each.as_object();
        if (text_of(container, "service") != flags.service)
            continue;
        known = true;
        if (container.at("number").to_number<int>() == flags.index &&
            text_of(container, "state") == "running")
            return text_of(container, "id");
    }
    if (known)
        throw error(error_kind::conflict, fmt::format("service \"{}\" is not running", flags.service));
    throw error(
        error_kind::not_found, fmt::format("service \"{}\" has no container; start it with: compose up -d {}",
                                   flags.service, flags.service));
}

using connection_ptr = std::shared_ptr<api::client_connection>;

/// Standard input as an open file of its own: asio makes it non-blocking, and a terminal's is shared with
/// standard output, where writes would then lose bytes (EAGAIN), also in the shell after us.
int open_input() {
    const int own = ::open("/proc/self/fd/0", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    return own >= 0 ? own : ::dup(STDIN_FILENO); // a socket cannot be opened again
}

/// All of it, whatever the descriptor is like.
void write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t size = ::write(fd, bytes.data(), bytes.size());
        if (size >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(size));
        } else if (errno == EAGAIN) {
            pollfd entry{.fd = fd, .events = POLLOUT, .revents = 0};
            ::poll(&entry, 1, -1);
        } else if (errno != EINTR) {
            return; // nobody reads it any more
        }
    }
}

engine::task<> send_input(context& with, connection_ptr to) {
    asio::posix::stream_descriptor input(with.io, open_input());
    std::string part(16U << 10U, '\0');
    for (;;) {
        const auto [failed, size] =
            co_await input.async_read_some(asio::buffer(part), asio::as_tuple(asio::use_awaitable));
        if (failed)
            break;
        co_await to->write(api::encode_frame(api::frame_type::input, std::string_view(part).substr(0, size)));
    }
    co_await to->write(api::encode_frame(api::frame_type::end, {}));
}

// A file as standard input cannot be waited for by epoll; it never blocks either.
engine::task<> send_file_input(connection_ptr to) {
    std::string part(64U << 10U, '\0');
    for (;;) {
        const ssize_t size = ::read(STDIN_FILENO, part.data(), part.size());
        if (size <= 0)
            break;
        co_await to->write(api::encode_frame(
            api::frame_type::input, std::string_view(part).substr(0, static_cast<std::size_t>(size))));
    }
    co_await to->write(api::encode_frame(api::frame_type::end, {}));
}

bool can_wait_for_input() {
    const off_t place = ::lseek(STDIN_FILENO, 0, SEEK_CUR);
    return place < 0; // pipes, sockets and terminals have no place
}

engine::task<> watch_size(connection_ptr to, asio::signal_set& resized) {
    for (;;) {
        const auto [cancelled, number] = co_await resized.async_wait(asio::as_tuple(asio::use_awaitable));
        if (cancelled)
            co_return;
        const terminal_size size = size_of_terminal(STDOUT_FILENO);
        json::object what;
        what["rows"] = size.rows;
        what["columns"] = size.columns;
        std::string bytes = api::encode_frame(api::frame_type::resize, json::serialize(what));
        co_await to->write(std::move(bytes));
    }
}

engine::task<int> receive(connection_ptr from) {
    api::frame_decoder decoder;
    for (;;) {
        const std::string bytes = co_await from->read();
        if (bytes.empty())
            throw error(error_kind::unavailable, "composed ended the connection");
        decoder.feed(bytes);
        while (const auto next = decoder.next()) {
            if (next->type == api::frame_type::exit)
                co_return parse_reply(next->payload).at("exit_code").to_number<int>();
            write_all(next->type == api::frame_type::error ? STDERR_FILENO : STDOUT_FILENO, next->payload);
        }
    }
}

json::object request_of(const exec_flags& flags, bool tty) {
    json::object request{{"args", json::value_from(flags.command)}, {"tty", tty}, {"stdin", true}};
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

/// As a shell's, and Docker's: 127 for a program that is not there, 126 for one that cannot be run.
std::optional<int> code_of(error_kind failure) {
    switch (failure) {
    case error_kind::not_found:
        return 127;
    case error_kind::invalid:
        return 126;
    default:
        return std::nullopt;
    }
}

engine::task<> exec(context& with, std::shared_ptr<exec_flags> flags) {
    const std::string name = with.project_name();
    api::client daemon = with.daemon();
    const std::string text = co_await daemon.call("GET", containers_target(name));
    const json::value all = parse_reply(text);
    const std::string id = find_container(all.as_array(), *flags);
    const bool tty = !flags->no_tty && is_terminal(STDIN_FILENO) && is_terminal(STDOUT_FILENO);
    api::request_body body{
        .content_type = "application/json", .text = json::serialize(request_of(*flags, tty))};
    std::unique_ptr<api::client_connection> opened;
    try {
        opened = co_await daemon.upgrade(
            fmt::format("/api/v1/containers/{}/exec", id), "composed-exec", std::move(body));
    } catch (const error& failure) {
        const auto code = code_of(failure.kind());
        if (!code)
            throw;
        fmt::print(stderr, "{}\n", failure.what());
        with.exit_code = *code;
    }
    if (!opened)
        co_return;
    const connection_ptr connection = std::move(opened);

    std::optional<raw_mode> raw;
    asio::signal_set resized(with.io);
    if (tty) {
        raw.emplace(STDIN_FILENO);
        resized.add(SIGWINCH);
        asio::co_spawn(with.io, watch_size(connection, resized), [](std::exception_ptr) {});
    }
    // What the input ends with does not matter: the process's end decides.
    engine::task<> input = can_wait_for_input() ? send_input(with, connection) : send_file_input(connection);
    asio::co_spawn(with.io, std::move(input), [](std::exception_ptr) {});
    with.exit_code = co_await receive(connection);
    resized.cancel();
    connection->close();
    raw.reset();
    with.io.stop(); // a read of the terminal may still wait
}

} // namespace

void add_exec(CLI::App& app, action& chosen) {
    const auto flags = std::make_shared<exec_flags>();
    CLI::App* command = app.add_subcommand("exec", "Execute a command in a running container");
    command->add_flag("-T,--no-tty", flags->no_tty,
        "Disable pseudo-TTY allocation; it is off where stdin or stdout is none");
    command->add_option("-u,--user", flags->user, "Run the command as this user");
    command->add_option("-w,--workdir", flags->working_dir, "Path to workdir directory for this command");
    command->add_option("-e,--env", flags->environment, "Set environment variables")->allow_extra_args(false);
    command->add_option("--index", flags->index, "Index of the container if service has multiple replicas");
    command->add_option("SERVICE", flags->service, "service")->required();
    command->add_option("COMMAND", flags->command, "command and its arguments")->required();
    command->positionals_at_end(false);
    command->prefix_command(false);
    command->callback([flags, &chosen] { chosen = [flags](context& with) { return exec(with, flags); }; });
}

} // namespace compose::cli
