#include "api/http/frames.hpp"
#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/model/error.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <chrono>

namespace api {

namespace asio = boost::asio;
namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

constexpr auto quiet = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t request_limit = 1U << 20U;
// A process that the command left behind may hold the pipes open for ever.
constexpr auto drain_limit = std::chrono::seconds(2);

void read_member(engine::exec_spec& spec, std::string_view key, const json::value& value) {
    if (key == "args")
        spec.args = json::value_to<std::vector<std::string>>(value);
    else if (key == "env")
        spec.env = json::value_to<std::vector<std::string>>(value);
    else if (key == "cwd")
        spec.cwd = json::value_to<std::string>(value);
    else if (key == "user")
        spec.user = json::value_to<std::string>(value);
    else if (key == "tty")
        spec.tty = value.as_bool();
    else if (key == "stdin")
        spec.attach_stdin = value.as_bool();
    else if (key == "privileged")
        spec.privileged = value.as_bool();
    else if (key == "rows")
        spec.rows = value.to_number<std::uint16_t>();
    else if (key == "columns")
        spec.columns = value.to_number<std::uint16_t>();
    else
        throw error(error_kind::invalid, fmt::format("exec: \"{}\" is no key of an exec", key));
}

engine::exec_spec read_spec(const std::string& text) {
    engine::exec_spec spec;
    std::string key;
    const auto refuse = [&](std::string_view why) {
        throw error(error_kind::invalid, fmt::format("exec{}{}: {}", key.empty() ? "" : " ", key, why));
    };
    try {
        const json::value parsed = json::parse(text);
        if (text.find("\\u0000") != std::string::npos)
            throw std::invalid_argument("a NUL cannot be given to a program");
        for (const auto& member : parsed.as_object()) {
            key = member.key();
            read_member(spec, key, member.value());
        }
    } catch (const boost::system::system_error& failure) {
        refuse(failure.code().message());
    } catch (const std::invalid_argument& failure) { // what as_object() and its like throw
        refuse(failure.what());
    }
    if (spec.args.empty())
        throw error(error_kind::invalid, "exec: \"args\" says what to run and must not be empty");
    return spec;
}

/// An exec and its connection. The coroutines that move bytes share it; the last one to go ends it.
struct relay {
    relay(asio::io_context& io, engine::exec_session started, raw_connection& to)
        : session(std::move(started)), connection(to), input(io), output(io), errors(io), changed(io) {
        engine::stream_set& streams = session.streams();
        if (streams.terminal) {
            input.assign(streams.terminal.duplicate().release());
            output.assign(streams.terminal.release());
            return;
        }
        if (streams.input)
            input.assign(streams.input.release());
        if (streams.output)
            output.assign(streams.output.release());
        if (streams.error)
            errors.assign(streams.error.release());
    }

    engine::exec_session session;
    raw_connection& connection;
    asio::posix::stream_descriptor input;
    asio::posix::stream_descriptor output;
    asio::posix::stream_descriptor errors;
    engine::notifier changed;
    std::string outbox; // frames on their way to the client: one write at a time
    bool writing = false;
    int readers = 0;

    void close_streams() {
        boost::system::error_code ignored;
        input.close(ignored);
        output.close(ignored);
        errors.close(ignored);
    }
};
using relay_ptr = std::shared_ptr<relay>;

engine::task<> send(relay_ptr through, std::string bytes) {
    while (through->writing)
        co_await through->changed.wait();
    through->writing = true;
    std::exception_ptr failure;
    try {
        co_await through->connection.write(std::move(bytes));
    } catch (...) {
        failure = std::current_exception();
    }
    through->writing = false;
    through->changed.notify_all();
    if (failure)
        std::rethrow_exception(failure);
}

engine::task<> pump_output(relay_ptr through, asio::posix::stream_descriptor& from, frame_type type) {
    std::string part(32U << 10U, '\0');
    try {
        for (;;) {
            const auto [failed, size] = co_await from.async_read_some(asio::buffer(part), quiet);
            // A terminal whose last process has gone says EIO instead of an end.
            if (failed)
                break;
            co_await send(through, encode_frame(type, std::string_view(part).substr(0, size)));
        }
    } catch (const boost::system::system_error&) {
        // The client is gone: the process runs on and its output has no taker.
    }
    --through->readers;
    through->changed.notify_all();
}

engine::task<> pump_input(relay_ptr through) {
    frame_decoder decoder;
    boost::system::error_code ignored;
    for (;;) {
        const std::string bytes = co_await through->connection.read();
        if (bytes.empty())
            break;
        decoder.feed(bytes);
        while (const auto next = decoder.next()) {
            if (next->type == frame_type::input && through->input.is_open()) {
                const auto [failed, size] =
                    co_await asio::async_write(through->input, asio::buffer(next->payload), quiet);
                if (failed)
                    through->input.close(ignored);
            } else if (next->type == frame_type::end) {
                through->input.close(ignored);
            } else if (next->type == frame_type::resize) {
                const json::value size = json::parse(next->payload);
                through->session.resize(size.at("rows").to_number<std::uint16_t>(),
                    size.at("columns").to_number<std::uint16_t>());
            }
        }
    }
    through->input.close(ignored);
}

engine::task<> run(exchange& request, daemon_parts parts) {
    const std::string wanted = request.parameters.at("container");
    const engine::container_view* container = parts.containers.find(wanted);
    if (container == nullptr)
        container = parts.containers.find_by_name(wanted);
    if (container == nullptr)
        throw error(
            error_kind::not_found, fmt::format("container \"{}\": there is none of that id or name", wanted));
    const std::string id = container->record.id;
    const std::string name = container->record.name;
    const std::string body = co_await request.body(request_limit);
    engine::exec_spec spec = read_spec(body);
    container = parts.containers.find(id); // it may have been removed while the body came
    if (container == nullptr || !container->run)
        throw error(error_kind::conflict,
            fmt::format("container \"{}\" is not running; start it with: compose up -d", name));
    engine::exec_session session = co_await parts.containers.runtime().exec(id, std::move(spec));
    raw_connection* connection = co_await request.upgrade("composed-exec");

    asio::io_context& io = parts.engine.on.io;
    const auto through = std::make_shared<relay>(io, std::move(session), *connection);
    for (const auto& [from, type] :
        {std::pair(&through->output, frame_type::output), std::pair(&through->errors, frame_type::error)}) {
        if (!from->is_open())
            continue;
        ++through->readers;
        engine::spawn(io, "exec output", pump_output(through, *from, type));
    }
    const auto input_done = std::make_shared<bool>(false);
    engine::spawn(io, "exec input", [](relay_ptr of, std::shared_ptr<bool> done) -> engine::task<> {
        try {
            co_await pump_input(of);
        } catch (const std::exception&) {
            // Nonsense from the client ends its connection, which the lines below see to.
            of->connection.close();
        }
        *done = true;
        of->changed.notify_all();
    }(through, input_done));

    const int code = co_await through->session.wait();
    const auto deadline = std::chrono::steady_clock::now() + drain_limit;
    while (through->readers > 0 && std::chrono::steady_clock::now() < deadline)
        co_await through->changed.wait_for(drain_limit);
    std::exception_ptr gone;
    try {
        json::object last;
        last["exit_code"] = code;
        std::string bytes = encode_frame(frame_type::exit, json::serialize(last));
        co_await send(through, std::move(bytes));
    } catch (...) {
        gone = std::current_exception();
    }
    through->close_streams();
    connection->close();
    // The connection is the exchange's and ends with this coroutine: nobody may use it any more then.
    while (!*input_done || through->readers > 0)
        co_await through->changed.wait();
}

} // namespace

void add_exec_routes(router& to, const daemon_parts& parts) {
    to.add("POST", "/api/v1/containers/{container}/exec",
        [parts](exchange& request) { return run(request, parts); });
}

} // namespace api
