#include "api/http/connection.hpp"

#include "engine/system/blocking.hpp"
#include "engine/system/unix_socket.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

namespace api {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using compose::error;
using compose::error_kind;

int status_of(error_kind kind) noexcept {
    switch (kind) {
    case error_kind::invalid:
        return 400;
    case error_kind::unauthorized:
        return 401;
    case error_kind::not_found:
        return 404;
    case error_kind::conflict:
        return 409;
    case error_kind::exhausted:
        return 413;
    case error_kind::unavailable:
        return 503;
    case error_kind::internal:
        return 500;
    }
    return 500;
}

namespace {

constexpr auto quiet = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t part_size = 64U << 10U;
// What is left unread of a body is read and dropped up to here; above it, closing the connection is cheaper.
constexpr std::size_t most_drained = 64U << 10U;
constexpr auto linger_limit = std::chrono::seconds(2);
constexpr auto error_trailer = "Composed-Error";

class raw final : public raw_connection {
  public:
    raw(std::shared_ptr<stream_socket> socket, std::string already_read)
        : socket_(std::move(socket)), pending_(std::move(already_read)) {}

    engine::task<std::string> read() override {
        if (!pending_.empty())
            co_return std::exchange(pending_, {});
        std::string part(part_size, '\0');
        const auto [failed, size] = co_await socket_->async_read_some(asio::buffer(part), quiet);
        part.resize(failed ? 0 : size);
        co_return part;
    }

    engine::task<> write(std::string bytes) override {
        co_await asio::async_write(*socket_, asio::buffer(bytes), asio::use_awaitable);
    }

    void close() override {
        boost::system::error_code ignored;
        socket_->shutdown(stream_socket::shutdown_both, ignored);
    }

  private:
    std::shared_ptr<stream_socket> socket_;
    std::string pending_;
};

using parser = http::request_parser<http::buffer_body>;

class http_exchange final : public exchange {
  public:
    http_exchange(std::shared_ptr<stream_socket> socket, beast::flat_buffer& buffer, parser& request)
        : socket_(std::move(socket)), buffer_(buffer), request_(request) {
        const auto& message = request_.get();
        method = std::string(message.method_string());
        const std::string_view target(message.target().data(), message.target().size());
        const auto mark = target.find('?');
        path = percent_decode(target.substr(0, mark));
        if (mark != std::string_view::npos)
            query = api::query(target.substr(mark + 1));
        peer_user = engine::peer_user(socket_->native_handle());
        keep_alive_ = message.keep_alive();
        version_ = message.version();
        head_only_ = message.method() == http::verb::head;
    }

    std::string header(std::string_view name) const override {
        const auto found = request_.get().find(beast::string_view(name.data(), name.size()));
        return found == request_.get().end() ? std::string()
                                             : std::string(found->value().data(), found->value().size());
    }

    engine::task<std::string> body(std::size_t limit) override {
        std::string whole;
        for (;;) {
            const std::string part = co_await body_part();
            if (part.empty())
                co_return whole;
            whole += part;
            if (whole.size() > limit)
                throw error(error_kind::exhausted,
                    fmt::format("body of {}: larger than the limit of {} bytes", path, limit));
        }
    }

    engine::task<std::string> body_part() override {
        if (header("Expect") == "100-continue" && !std::exchange(continued_, true)) {
            const std::string line = "HTTP/1.1 100 Continue\r\n\r\n";
            co_await asio::async_write(*socket_, asio::buffer(line), asio::use_awaitable);
        }
        std::string part(part_size, '\0');
        while (!request_.is_done()) {
            auto& target = request_.get().body();
            target.data = part.data();
            target.size = part.size();
            const auto [failed, read] = co_await http::async_read(*socket_, buffer_, request_, quiet);
            if (failed && failed != http::error::need_buffer) {
                keep_alive_ = false; // nobody knows where the next request begins
                throw error(error_kind::invalid, fmt::format("read body of {}: {}", path, failed.message()));
            }
            const std::size_t size = part.size() - request_.get().body().size;
            if (size == 0)
                continue;
            part.resize(size);
            co_return part;
        }
        co_return std::string();
    }

    engine::task<> send(int status, std::string content_type, std::string text) override {
        answered_ = true;
        http::response<http::string_body> reply(static_cast<http::status>(status), version_);
        reply.set(http::field::server, "composed");
        reply.set(http::field::content_type, content_type);
        for (const auto& [name, value] : reply_headers)
            reply.set(name, value);
        reply.keep_alive(keep_alive());
        reply.body() = std::move(text);
        reply.prepare_payload();
        http::response_serializer<http::string_body> serializer(reply);
        if (head_only_)
            co_await http::async_write_header(*socket_, serializer, asio::use_awaitable);
        else
            co_await http::async_write(*socket_, serializer, asio::use_awaitable);
    }

    engine::task<> begin_stream(std::string content_type) override {
        answered_ = true;
        streaming_ = true;
        http::response<http::empty_body> reply(http::status::ok, version_);
        reply.set(http::field::server, "composed");
        reply.set(http::field::content_type, content_type);
        // HTTP/1.0 has no chunks: there the stream ends with the connection (RFC 9112, 6.1 and 6.3).
        keep_alive_ = keep_alive_ && in_chunks();
        reply.chunked(in_chunks());
        if (in_chunks())
            reply.set(http::field::trailer, error_trailer);
        reply.keep_alive(keep_alive());
        http::response_serializer<http::empty_body> serializer(reply);
        co_await http::async_write_header(*socket_, serializer, asio::use_awaitable);
    }

    engine::task<> write(std::string text) override {
        if (text.empty() || head_only_)
            co_return;
        if (!in_chunks()) {
            co_await asio::async_write(*socket_, asio::buffer(text), asio::use_awaitable);
            co_return;
        }
        const auto chunk = http::make_chunk(asio::buffer(text));
        co_await asio::async_write(*socket_, chunk, asio::use_awaitable);
    }

    void on_close(std::function<void()> act) override {
        watching_ = std::make_shared<watch>();
        watching_->act = std::move(act);
        // A client says nothing more while it reads a stream: readable means gone.
        socket_->async_wait(stream_socket::wait_read,
            [watched = watching_, socket = socket_](boost::system::error_code cancelled) {
                if (cancelled || watched->over)
                    return;
                char byte = 0;
                if (::recv(socket->native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
                    return;
                watched->closed = true;
                watched->act();
            });
    }

    bool closed() const noexcept override { return head_only_ || (watching_ && watching_->closed); }

    engine::task<raw_connection*> upgrade(std::string protocol) override {
        answered_ = true;
        const std::string head = fmt::format(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {}\r\n\r\n", protocol);
        co_await asio::async_write(*socket_, asio::buffer(head), asio::use_awaitable);
        const auto data = buffer_.data();
        std::string early(static_cast<const char*>(data.data()), data.size());
        buffer_.consume(buffer_.size());
        raw_ = std::make_unique<raw>(socket_, std::move(early));
        co_return raw_.get();
    }

    /// Ends the reply. True when the connection can serve another request.
    engine::task<bool> finish() {
        if (watching_) {
            watching_->over = true;
            socket_->cancel();
        }
        if (raw_)
            co_return false;
        co_await end_stream();
        co_await discard_body();
        co_return keep_alive();
    }

    engine::task<> end_stream() {
        if (!streaming_ || !in_chunks() || head_only_)
            co_return;
        http::fields trailers;
        for (const auto& [name, value] : reply_trailers)
            trailers.set(name, value);
        const auto last = http::make_chunk_last(trailers);
        co_await asio::async_write(*socket_, last, asio::use_awaitable);
    }

    /// Reads what is left of the request, so that another may follow on this connection. What would be too
    /// much to read for nothing, or was not sent yet, ends the connection: its bytes must never be taken for
    /// a request.
    engine::task<> discard_body() {
        const bool not_sent = header("Expect") == "100-continue" && !continued_;
        std::size_t drained = 0;
        while (keep_alive_ && !not_sent && !request_.is_done() && drained < most_drained) {
            const std::string part = co_await body_part();
            drained += part.size();
        }
        keep_alive_ = keep_alive_ && request_.is_done();
    }

    bool answered() const noexcept { return answered_; }

  private:
    struct watch {
        std::function<void()> act;
        bool closed = false;
        bool over = false;
    };

    bool keep_alive() const noexcept { return keep_alive_; }
    bool in_chunks() const noexcept { return version_ >= 11; }

    std::shared_ptr<stream_socket> socket_;
    beast::flat_buffer& buffer_;
    parser& request_;
    std::shared_ptr<watch> watching_;
    std::unique_ptr<raw> raw_;
    unsigned version_ = 11;
    bool head_only_ = false; // HEAD: everything of a reply but its body
    bool keep_alive_ = true;
    bool answered_ = false;
    bool streaming_ = false;
    bool continued_ = false;
};

std::string error_text(error_kind kind, std::string_view message) {
    return boost::json::serialize(
        boost::json::object{{"kind", compose::to_string(kind)}, {"message", message}});
}

/// A reply that has begun cannot take its status back: its trailer says what has gone wrong.
engine::task<> break_off(http_exchange& request, error_kind kind, std::string message) {
    constexpr std::size_t longest = 2000; // clients have limits for such fields
    message.resize(std::min(message.size(), longest));
    spdlog::warn("{} {}: {}", request.method, request.path, message);
    request.reply_trailers[error_trailer] = error_text(kind, message);
    try {
        co_await request.end_stream();
    } catch (const boost::system::system_error&) { // the client is gone too
    }
}

// One request; true when another may follow.
engine::task<bool> serve_request(http_exchange& request, const router& routes) {
    error_kind kind = error_kind::internal;
    std::string message;
    try {
        co_await routes.dispatch(request);
        const bool more = co_await request.finish();
        co_return more;
    } catch (const error& failure) {
        kind = failure.kind();
        message = failure.what();
    } catch (const boost::system::system_error&) {
        co_return false; // the client is gone
    } catch (const std::exception& failure) {
        message = failure.what();
    }
    if (request.answered()) {
        co_await break_off(request, kind, message);
        co_return false;
    }
    co_await request.discard_body();
    co_await request.send(status_of(kind), "application/json", error_text(kind, message) + "\n");
    const bool more = co_await request.finish();
    co_return more;
}

/// A client that is still sending hears of the reply only if the connection is not closed on it.
engine::task<> linger(std::shared_ptr<stream_socket> socket) {
    boost::system::error_code ignored;
    socket->shutdown(stream_socket::shutdown_send, ignored);
    asio::steady_timer limit(socket->get_executor(), linger_limit);
    limit.async_wait([socket](boost::system::error_code cancelled) {
        boost::system::error_code unheard;
        if (!cancelled)
            socket->close(unheard);
    });
    std::string part(part_size, '\0');
    for (bool open = true; open;) {
        const auto [failed, size] = co_await socket->async_read_some(asio::buffer(part), quiet);
        open = !failed;
    }
}

} // namespace

engine::task<> serve_connection(
    std::shared_ptr<stream_socket> socket, const router& routes, server_limits limits) {
    beast::flat_buffer buffer;
    for (;;) {
        parser request;
        request.header_limit(static_cast<std::uint32_t>(limits.header_bytes));
        request.body_limit(boost::none); // each handler has its own
        asio::steady_timer idle(socket->get_executor(), std::chrono::seconds(limits.idle_seconds));
        idle.async_wait([socket](boost::system::error_code cancelled) {
            boost::system::error_code ignored;
            if (!cancelled)
                socket->close(ignored);
        });
        const auto [failed, size] = co_await http::async_read_header(*socket, buffer, request, quiet);
        idle.cancel();
        if (failed == http::error::end_of_stream || failed == asio::error::eof ||
            failed == asio::error::operation_aborted || failed == asio::error::bad_descriptor)
            co_return;
        http_exchange answer(socket, buffer, request);
        if (failed) {
            const int status = failed == http::error::header_limit ? 431 : 400;
            co_await answer.send(status, "application/json",
                error_text(error_kind::invalid, fmt::format("not an HTTP request: {}", failed.message())) +
                    "\n");
            co_return;
        }
        const bool more = co_await serve_request(answer, routes);
        if (!more && !request.is_done())
            co_await linger(socket);
        if (!more)
            co_return;
    }
}

} // namespace api
