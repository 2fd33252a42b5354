#include "compose/cli/session.hpp"

#include "api/http/frames.hpp"
#include "compose/cli/terminal.hpp"
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
#include <fcntl.h>
#include <poll.h>
#include <sstream>
#include <unistd.h>

namespace compose::cli {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr int not_there = 127;
constexpr int not_runnable = 126;

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

/// Looks for the keys in what is typed, also where they come one by one.
class key_watch {
  public:
    explicit key_watch(std::string keys) : keys_(std::move(keys)) {}

    /// What of the bytes is to be passed on; nothing once all keys were typed.
    std::optional<std::string> pass(std::string_view bytes) {
        std::string on;
        for (const char each : bytes) {
            if (!keys_.empty() && each == keys_[matched_]) {
                if (++matched_ == keys_.size())
                    return std::nullopt;
                continue;
            }
            on += keys_.substr(0, std::exchange(matched_, 0));
            if (!keys_.empty() && each == keys_[0])
                matched_ = 1;
            else
                on += each;
        }
        return on;
    }

  private:
    std::string keys_;
    std::size_t matched_ = 0;
};

using input_ptr = std::shared_ptr<asio::posix::stream_descriptor>;

engine::task<> send_input(
    input_ptr input, connection_ptr to, std::string keys, std::function<void()> detach) {
    key_watch watch(std::move(keys));
    std::string part(16U << 10U, '\0');
    for (;;) {
        const auto [failed, size] =
            co_await input->async_read_some(asio::buffer(part), asio::as_tuple(asio::use_awaitable));
        if (failed)
            break;
        const auto bytes = watch.pass(std::string_view(part).substr(0, size));
        if (!bytes) {
            detach();
            co_return;
        }
        if (!bytes->empty())
            co_await to->write(api::encode_frame(api::frame_type::input, *bytes));
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

engine::task<> pass_signals(connection_ptr to, asio::signal_set& caught) {
    for (;;) {
        const auto [cancelled, number] = co_await caught.async_wait(asio::as_tuple(asio::use_awaitable));
        if (cancelled)
            co_return;
        json::object what;
        what["signal"] = std::to_string(number);
        std::string bytes = api::encode_frame(api::frame_type::signal, json::serialize(what));
        co_await to->write(std::move(bytes));
    }
}

/// Nothing when the keys were typed.
engine::task<std::optional<int>> receive(connection_ptr from, const bool& detached) {
    api::frame_decoder decoder;
    for (;;) {
        std::string bytes;
        std::exception_ptr failure;
        try {
            bytes = co_await from->read();
        } catch (...) {
            failure = std::current_exception();
        }
        if (detached)
            co_return std::nullopt;
        if (failure)
            std::rethrow_exception(failure);
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

/// As a shell's, and Docker's: 127 for a program that is not there, 126 for one that cannot be run.
std::optional<int> code_of(error_kind failure) {
    switch (failure) {
    case error_kind::not_found:
        return not_there;
    case error_kind::invalid:
        return not_runnable;
    default:
        return std::nullopt;
    }
}

} // namespace

engine::task<int> converse(
    context& with, std::unique_ptr<api::client_connection> with_process, session_options how) {
    const connection_ptr connection = std::move(with_process);
    std::optional<raw_mode> raw;
    asio::signal_set resized(with.io);
    asio::signal_set caught(with.io);
    const auto ignore = [](std::exception_ptr) {};
    if (how.tty) {
        raw.emplace(STDIN_FILENO);
        resized.add(SIGWINCH);
        asio::co_spawn(with.io, watch_size(connection, resized), ignore);
    }
    if (how.signals) {
        for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2})
            caught.add(number);
        asio::co_spawn(with.io, pass_signals(connection, caught), ignore);
    }
    bool detached = false;
    std::function<void()> detach = [&detached, connection] {
        detached = true;
        connection->close();
    };
    const auto typed = std::make_shared<asio::posix::stream_descriptor>(with.io);
    if (how.input) {
        const bool waits = can_wait_for_input();
        if (waits)
            typed->assign(open_input());
        // What the input ends with does not matter: the process's end decides.
        engine::task<> input =
            waits ? send_input(typed, connection, detach_sequence(how.detach_keys), std::move(detach))
                  : send_file_input(connection);
        asio::co_spawn(with.io, std::move(input), ignore);
    }
    std::optional<int> code;
    std::exception_ptr failure;
    try {
        code = co_await receive(connection, detached);
    } catch (...) {
        failure = std::current_exception();
    }
    resized.cancel();
    caught.cancel();
    connection->close();
    boost::system::error_code ignored;
    typed->close(ignored);
    raw.reset();
    if (failure)
        std::rethrow_exception(failure);
    co_return code.value_or(0);
}

engine::task<std::unique_ptr<api::client_connection>> open_session(
    context& with, std::string target, std::string json_body) {
    api::client daemon = with.daemon();
    api::request_body body{.content_type = "application/json", .text = std::move(json_body)};
    std::unique_ptr<api::client_connection> opened;
    try {
        opened = co_await daemon.upgrade(std::move(target), "composed-exec", std::move(body));
    } catch (const error& failure) {
        const auto code = code_of(failure.kind());
        if (!code)
            throw;
        fmt::print(stderr, "{}\n", failure.what());
        with.exit_code = *code;
    }
    co_return opened;
}

std::string detach_sequence(const std::string& keys) {
    std::string bytes;
    std::istringstream parts(keys);
    for (std::string part; std::getline(parts, part, ',');) {
        const bool control = part.size() == 6 && part.starts_with("ctrl-");
        if (part.size() != 1 && !control)
            throw error(error_kind::invalid,
                fmt::format(
                    "--detach-keys: \"{}\" is neither a letter nor ctrl- and one, like ctrl-p,ctrl-q", part));
        bytes += control ? static_cast<char>(part.back() & 0x1F) : part.front();
    }
    return bytes;
}

} // namespace compose::cli
