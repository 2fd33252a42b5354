#include "compose/cli/reconnect.hpp"

#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace compose::cli {

namespace {

constexpr auto between_tries = std::chrono::milliseconds(200);

/// For how long a daemon that has gone is waited for: COMPOSED_RECONNECT in seconds, half a minute by
/// default.
std::chrono::seconds patience() {
    constexpr unsigned usual = 30;
    unsigned seconds = usual;
    if (const char* wish = std::getenv("COMPOSED_RECONNECT"))
        std::from_chars(wish, wish + std::strlen(wish), seconds);
    return std::chrono::seconds(seconds);
}

engine::task<bool> answers(context& with) {
    try {
        co_await with.daemon().call("GET", "/api/v1/ping");
        co_return true;
    } catch (const error&) {
        co_return false;
    }
}

/// Nothing when the container does not run any more.
engine::task<std::unique_ptr<api::client_connection>> attach_again(
    context& with, std::string container, bool input) {
    api::target target(fmt::format("/api/v1/containers/{}/attach", container));
    target.with("stdin", input);
    api::request_body body{.content_type = "application/json", .text = "{}"};
    api::client daemon = with.daemon();
    try {
        co_return co_await daemon.upgrade(target.text(), "composed-exec", std::move(body));
    } catch (const error& failure) {
        if (failure.kind() != error_kind::conflict && failure.kind() != error_kind::not_found)
            throw;
        co_return nullptr;
    }
}

} // namespace

bool has_gone(const std::exception_ptr& failure) {
    try {
        if (!failure)
            return false;
        std::rethrow_exception(failure);
    } catch (const error& thrown) {
        return thrown.kind() == error_kind::unavailable;
    } catch (...) {
        return false;
    }
}

engine::task<> await_daemon(context& with, std::exception_ptr failure) {
    if (!has_gone(failure))
        std::rethrow_exception(failure);
    const std::chrono::seconds longest = patience();
    if (longest.count() == 0)
        std::rethrow_exception(failure);
    fmt::print(stderr, "warning: composed has gone away; waiting for it to come back\n");
    const auto deadline = std::chrono::steady_clock::now() + longest;
    boost::asio::steady_timer pause(with.io);
    while (!co_await answers(with)) {
        if (std::chrono::steady_clock::now() >= deadline)
            std::rethrow_exception(failure);
        pause.expires_after(between_tries);
        co_await pause.async_wait(boost::asio::use_awaitable);
    }
}

engine::task<int> wait_for_exit(context& with, std::string container) {
    const std::string target = fmt::format("/api/v1/containers/{}/wait", container);
    for (;;) {
        std::exception_ptr failure;
        try {
            api::client daemon = with.daemon();
            const auto stream = co_await daemon.open("GET", target);
            const std::optional<std::string> text = co_await stream->next_line();
            if (!text)
                throw error(error_kind::unavailable, "composed ended the connection");
            co_return parse_reply(*text).at("exit_code").to_number<int>();
        } catch (const error&) {
            failure = std::current_exception();
        }
        co_await await_daemon(with, failure);
    }
}

engine::task<int> converse_with_container(context& with, std::string container,
    std::unique_ptr<api::client_connection> opened, session_options how) {
    while (opened) {
        std::exception_ptr failure;
        try {
            co_return co_await converse(with, std::move(opened), how);
        } catch (const error&) {
            failure = std::current_exception();
        }
        co_await await_daemon(with, failure);
        opened = co_await attach_again(with, container, how.input);
    }
    co_return co_await wait_for_exit(with, container);
}

} // namespace compose::cli
