#include "api/v1/relay.hpp"

#include "api/http/frames.hpp"
#include "engine/project/launch_builder.hpp"
#include "engine/system/blocking.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>

#include <chrono>
#include <utility>

namespace api {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr auto quiet = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t most_kept = 1U << 20U;
// A process that the command left behind may hold the pipes open for ever.
constexpr auto drain_limit = std::chrono::seconds(2);

} // namespace

relay::relay(asio::io_context& io, engine::stream_set streams, raw_connection& to, controls what)
    : io_(io), connection_(to), controls_(std::move(what)), input_(io), output_(io), errors_(io),
      changed_(io) {
    if (streams.terminal) {
        input_.assign(streams.terminal.duplicate().release());
        output_.assign(streams.terminal.release());
        return;
    }
    if (streams.input)
        input_.assign(streams.input.release());
    if (streams.output)
        output_.assign(streams.output.release());
    if (streams.error)
        errors_.assign(streams.error.release());
}

void relay::begin() {
    const auto self = shared_from_this();
    for (const auto& [from, type] :
        {std::pair(&output_, frame_type::output), std::pair(&errors_, frame_type::error)}) {
        if (!from->is_open())
            continue;
        ++readers_;
        engine::spawn(io_, "output of a process", read_output(self, *from, type));
    }
    engine::spawn(io_, "output to a client", write_out(self));
    engine::spawn(io_, "input of a process", read_input(self));
}

engine::task<> relay::read_output(
    std::shared_ptr<relay> self, asio::posix::stream_descriptor& from, frame_type type) {
    std::string part(32U << 10U, '\0');
    for (;;) {
        while (self->outbox_.size() >= most_kept && !self->process_ended_ && !self->gone_)
            co_await self->changed_.wait();
        const auto [failed, size] = co_await from.async_read_some(asio::buffer(part), quiet);
        // A terminal whose last process has gone says EIO instead of an end.
        if (failed)
            break;
        if (self->gone_) // the process runs on and its output has no taker
            continue;
        self->outbox_ += encode_frame(type, std::string_view(part).substr(0, size));
        self->changed_.notify_all();
    }
    --self->readers_;
    self->changed_.notify_all();
}

engine::task<> relay::write_out(std::shared_ptr<relay> self) {
    while (!self->gone_) {
        if (self->outbox_.empty()) {
            if (self->last_sent_)
                break;
            co_await self->changed_.wait();
            continue;
        }
        std::string bytes = std::exchange(self->outbox_, {});
        self->changed_.notify_all();
        try {
            co_await self->connection_.write(std::move(bytes));
        } catch (const boost::system::system_error&) {
            self->gone_ = true;
        }
    }
    self->outbox_.clear();
    self->writer_done_ = true;
    self->changed_.notify_all();
}

engine::task<> relay::take(frame_type type, std::string payload) {
    boost::system::error_code ignored;
    if (type == frame_type::input && input_.is_open()) {
        const auto [failed, size] = co_await asio::async_write(input_, asio::buffer(payload), quiet);
        if (failed)
            input_.close(ignored);
    } else if (type == frame_type::end) {
        input_.close(ignored);
    } else if (type == frame_type::resize) {
        const json::value size = json::parse(payload);
        controls_.resize(
            size.at("rows").to_number<std::uint16_t>(), size.at("columns").to_number<std::uint16_t>());
    } else if (type == frame_type::signal) {
        const json::value what = json::parse(payload);
        controls_.signal(engine::signal_number(json::value_to<std::string>(what.at("signal"))));
    }
}

engine::task<> relay::read_input(std::shared_ptr<relay> self) {
    boost::system::error_code ignored;
    try {
        frame_decoder decoder;
        for (;;) {
            const std::string bytes = co_await self->connection_.read();
            if (bytes.empty())
                break;
            decoder.feed(bytes);
            while (auto next = decoder.next())
                co_await self->take(next->type, std::move(next->payload));
        }
    } catch (const std::exception&) {
        self->connection_.close(); // nonsense from the client
    }
    self->input_.close(ignored);
    self->input_done_ = true;
    if (self->controls_.gone)
        self->controls_.gone();
    self->changed_.notify_all();
}

void relay::tell(std::string_view text) {
    if (gone_ || last_sent_)
        return;
    outbox_ += encode_frame(frame_type::error, text);
    changed_.notify_all();
}

engine::task<> relay::finish(frame_type last, std::string payload) {
    const auto self = shared_from_this();
    process_ended_ = true;
    changed_.notify_all();
    const auto deadline = std::chrono::steady_clock::now() + drain_limit;
    while (readers_ > 0 && !gone_ && std::chrono::steady_clock::now() < deadline)
        co_await changed_.wait_for(drain_limit);
    if (!gone_)
        outbox_ += encode_frame(last, payload);
    last_sent_ = true;
    changed_.notify_all();
    while (!writer_done_)
        co_await changed_.wait();
    close_streams();
    connection_.close();
    while (!input_done_ || readers_ > 0)
        co_await changed_.wait();
}

void relay::close_streams() {
    boost::system::error_code ignored;
    input_.close(ignored);
    output_.close(ignored);
    errors_.close(ignored);
}

} // namespace api
