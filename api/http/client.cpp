#include "api/http/client.hpp"

#include "compose/model/error.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include <array>
#include <utility>

namespace api {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using compose::error;
using compose::error_kind;
using socket_type = asio::local::stream_protocol::socket;

namespace {

constexpr auto quiet = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t part_size = 64U << 10U;
constexpr std::size_t error_limit = 1U << 20U;
constexpr std::uint32_t header_limit = 256U << 10U; // trailers may list what a copy has left out

/// A connection with one request sent and the head of its reply read.
struct call_state {
    explicit call_state(asio::io_context& io) : socket(io) {
        reply.body_limit(boost::none);
        reply.header_limit(header_limit);
    }

    socket_type socket;
    beast::flat_buffer buffer;
    http::response_parser<http::buffer_body> reply;

    /// The next part of the body; empty at its end or when the connection was closed.
    engine::task<std::string> body_part();
    /// Of the head, or of what follows the body.
    std::string field(const std::string& name) const { return std::string(reply.get()[name]); }
};

[[noreturn]] void fail(int status, const std::string& text) {
    boost::system::error_code broken;
    const boost::json::value parsed = boost::json::parse(text, broken);
    const auto* object = broken ? nullptr : parsed.if_object();
    const auto* kind = object == nullptr ? nullptr : object->if_contains("kind");
    const auto* message = object == nullptr ? nullptr : object->if_contains("message");
    if (kind == nullptr || message == nullptr || !kind->is_string() || !message->is_string())
        throw error(error_kind::internal, fmt::format("composed answered {}: {}", status, text));
    throw error(
        compose::error_kind_from(std::string_view(kind->as_string())), std::string(message->as_string()));
}

// Empty at the end. Throws error{unavailable} when the daemon goes away before that, and what the reply was
// broken off with.
engine::task<std::string> call_state::body_part() {
    std::string part(part_size, '\0');
    while (!reply.is_done()) {
        auto& target = reply.get().body();
        target.data = part.data();
        target.size = part.size();
        const auto [failed, read] = co_await http::async_read_some(socket, buffer, reply, quiet);
        const std::size_t size = part.size() - reply.get().body().size;
        if (size > 0) {
            part.resize(size);
            co_return part;
        }
        if (failed == asio::error::operation_aborted || failed == asio::error::bad_descriptor)
            co_return std::string(); // closed by us
        if (failed && failed != http::error::need_buffer)
            throw error(error_kind::unavailable, "composed ended the connection before its answer was whole; "
                                                 "what it was asked for goes on once it "
                                                 "runs again, see: compose ps");
    }
    if (const std::string broken = field("Composed-Error"); !broken.empty())
        fail(static_cast<int>(reply.get().result_int()), broken);
    co_return std::string();
}

template <typename Body>
http::request<Body> make_request(
    const std::string& method, const std::string& target, const std::string& type) {
    http::request<Body> message;
    message.method_string(method);
    message.target(target);
    message.version(11);
    message.set(http::field::host, "composed");
    message.set(http::field::user_agent, "compose");
    if (!type.empty())
        message.set(http::field::content_type, type);
    return message;
}

engine::task<> send_file(socket_type& socket, std::string method, std::string target, request_body body) {
    auto message = make_request<http::file_body>(method, target, body.content_type);
    beast::error_code failed;
    message.body().open(body.file.c_str(), beast::file_mode::scan, failed);
    if (failed)
        throw error(
            error_kind::not_found, fmt::format("open \"{}\": {}", body.file.native(), failed.message()));
    message.prepare_payload();
    beast::error_code ignored;
    co_await http::async_write(socket, message, asio::redirect_error(asio::use_awaitable, ignored));
    // A daemon that refuses the body answers before it has read all of it: the answer tells more than the
    // broken pipe.
}

engine::task<> send_text(
    socket_type& socket, std::string method, std::string target, std::string upgrade, request_body body) {
    auto message = make_request<http::string_body>(method, target, body.content_type);
    if (!upgrade.empty()) {
        message.set(http::field::connection, "Upgrade");
        message.set(http::field::upgrade, upgrade);
    }
    message.body() = std::move(body.text);
    message.prepare_payload();
    beast::error_code ignored; // reading the reply tells what is wrong
    co_await http::async_write(socket, message, asio::redirect_error(asio::use_awaitable, ignored));
}

class stream final : public client_stream {
  public:
    explicit stream(std::unique_ptr<call_state> state) : state_(std::move(state)) {}

    engine::task<std::optional<std::string>> next_line() override {
        for (;;) {
            const auto end = pending_.find('\n', at_);
            if (end != std::string::npos) {
                std::string line = pending_.substr(at_, end - at_);
                at_ = end + 1;
                co_return line;
            }
            pending_.erase(0, std::exchange(at_, 0));
            const std::string part = co_await state_->body_part();
            if (part.empty() && pending_.empty())
                co_return std::nullopt;
            if (part.empty())
                co_return std::exchange(pending_, {});
            pending_ += part;
        }
    }

    engine::task<std::string> next_part() override { return state_->body_part(); }

    std::string trailer(const std::string& name) const override { return state_->field(name); }

    void close() override {
        boost::system::error_code ignored;
        state_->socket.close(ignored);
    }

  private:
    std::unique_ptr<call_state> state_;
    std::string pending_;
    std::size_t at_ = 0;
};

class connection final : public client_connection {
  public:
    explicit connection(std::unique_ptr<call_state> state) : state_(std::move(state)) {}

    engine::task<std::string> read() override {
        if (state_->buffer.size() > 0) {
            const auto data = state_->buffer.data();
            std::string early(static_cast<const char*>(data.data()), data.size());
            state_->buffer.consume(data.size());
            co_return early;
        }
        std::string part(part_size, '\0');
        const auto [failed, size] = co_await state_->socket.async_read_some(asio::buffer(part), quiet);
        part.resize(failed ? 0 : size);
        co_return part;
    }

    engine::task<> write(std::string bytes) override {
        const auto [failed, size] = co_await asio::async_write(state_->socket, asio::buffer(bytes), quiet);
        if (failed)
            throw error(error_kind::unavailable, "the connection to composed has ended");
    }

    void close() override {
        boost::system::error_code ignored;
        state_->socket.shutdown(socket_type::shutdown_both, ignored);
    }

  private:
    std::unique_ptr<call_state> state_;
};

} // namespace

client::client(asio::io_context& io, const std::string& host) : io_(io), host_(host) {
    constexpr std::string_view scheme = "unix://";
    if (!host.starts_with(scheme) || host.size() == scheme.size())
        throw error(error_kind::invalid,
            fmt::format("host \"{}\": give the daemon's socket as unix:///run/composed/composed.sock", host));
    path_ = host.substr(scheme.size());
}

namespace {

engine::task<std::unique_ptr<call_state>> begin(asio::io_context& io, std::string path, std::string host,
    std::string method, std::string target, std::string upgrade, request_body body) {
    auto state = std::make_unique<call_state>(io);
    const asio::local::stream_protocol::endpoint where(path);
    const auto [unreachable] = co_await state->socket.async_connect(where, quiet);
    if (unreachable == asio::error::access_denied)
        throw error(error_kind::unauthorized,
            fmt::format("permission denied at {}: run as root, or as a member of the group composed", host));
    if (unreachable)
        throw error(error_kind::unavailable,
            fmt::format(
                "Cannot connect to composed at {}. Is it running? Start it with: systemctl start composed",
                host));
    if (body.file.empty())
        co_await send_text(state->socket, method, target, upgrade, std::move(body));
    else
        co_await send_file(state->socket, method, target, std::move(body));
    const auto [failed, size] =
        co_await http::async_read_header(state->socket, state->buffer, state->reply, quiet);
    if (failed)
        throw error(error_kind::unavailable,
            fmt::format("composed at {} ended the connection ({}); look at its log", host, failed.message()));
    const int status = static_cast<int>(state->reply.get().result_int());
    if (status >= 400) {
        std::string text;
        while (text.size() < error_limit) {
            const std::string part = co_await state->body_part();
            if (part.empty())
                break;
            text += part;
        }
        fail(status, text);
    }
    co_return state;
}

} // namespace

engine::task<std::string> client::call(std::string method, std::string target, request_body body) {
    const std::unique_ptr<call_state> state =
        co_await begin(io_, path_, host_, method, target, "", std::move(body));
    std::string text;
    for (;;) {
        const std::string part = co_await state->body_part();
        if (part.empty())
            co_return text;
        text += part;
    }
}

// Without a body by overload, not by a default argument: g++ 12 destroys a temporary aggregate twice that is
// an argument in a full expression with a co_await.
engine::task<std::string> client::call(std::string method, std::string target) {
    return call(std::move(method), std::move(target), request_body());
}

engine::task<std::unique_ptr<client_stream>> client::open(std::string method, std::string target) {
    return open(std::move(method), std::move(target), request_body());
}

engine::task<std::unique_ptr<client_stream>> client::open(
    std::string method, std::string target, request_body body) {
    std::unique_ptr<call_state> state =
        co_await begin(io_, path_, host_, method, target, "", std::move(body));
    co_return std::make_unique<stream>(std::move(state));
}

engine::task<std::unique_ptr<client_connection>> client::upgrade(
    std::string target, std::string protocol, request_body body) {
    std::unique_ptr<call_state> state =
        co_await begin(io_, path_, host_, "POST", target, protocol, std::move(body));
    co_return std::make_unique<connection>(std::move(state));
}

} // namespace api
