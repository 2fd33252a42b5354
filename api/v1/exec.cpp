#include "api/http/frames.hpp"
#include "api/v1/relay.hpp"
#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/model/error.hpp"
#include "engine/system/blocking.hpp"
#include "engine/system/identifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

namespace api {

namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

constexpr std::size_t request_limit = 1U << 20U;

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
    else if (key == "detach")
        spec.attach_output = !value.as_bool();
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
    if (!spec.attach_output && (spec.tty || spec.attach_stdin))
        throw error(error_kind::invalid, "exec: \"detach\" goes with neither \"tty\" nor \"stdin\"");
    return spec;
}

/// The events of an exec, as Docker has them.
class told_exec {
  public:
    told_exec(daemon_parts parts, std::string container, const std::vector<std::string>& args)
        : parts_(parts), container_(std::move(container)), command_(fmt::format("{}", fmt::join(args, " "))) {
    }

    void tell(const std::string& action) const {
        parts_.containers.tell(container_, fmt::format("{}: {}", action, command_), {{"execID", id_}});
    }
    void ended(int code) const {
        parts_.containers.tell(container_, "exec_die", {{"execID", id_}, {"exitCode", std::to_string(code)}});
    }

  private:
    daemon_parts parts_;
    std::string container_;
    std::string command_;
    std::string id_ = engine::random_identifier();
};

/// Whoever listens to it, or nobody.
engine::task<> tell_end(std::shared_ptr<engine::exec_session> session, told_exec told) {
    const int code = co_await session->wait();
    told.ended(code);
}

engine::task<> run(exchange& request, daemon_parts parts) {
    const engine::container_view* container = &container_of(request, parts);
    const std::string id = container->record.id;
    const std::string name = container->record.name;
    const std::string body = co_await request.body(request_limit);
    engine::exec_spec spec = read_spec(body);
    container = parts.containers.find(id); // it may have been removed while the body came
    if (container == nullptr || !container->run)
        throw error(error_kind::conflict,
            fmt::format("container \"{}\" is not running; start it with: compose up -d", name));
    const bool detached = !spec.attach_output;
    const told_exec told(parts, id, spec.args);
    told.tell("exec_create");
    const auto session =
        std::make_shared<engine::exec_session>(co_await parts.containers.runtime().exec(id, std::move(spec)));
    told.tell("exec_start");
    engine::spawn(parts.engine.on.io, "exec in " + name, tell_end(session, told));
    if (detached) {
        json::object reply{{"pid", session->pid()}};
        co_await send_json(request, 200, std::move(reply));
        co_return;
    }
    raw_connection* connection = co_await request.upgrade("composed-exec");
    relay::controls controls{
        .resize = [session](std::uint16_t rows, std::uint16_t columns) { session->resize(rows, columns); },
        .signal = [session](int number) { session->signal(number); },
        .gone = {}};
    const auto through = std::make_shared<relay>(
        parts.engine.on.io, std::move(session->streams()), *connection, std::move(controls));
    through->begin();
    const int code = co_await session->wait();
    json::object last;
    last["exit_code"] = code;
    co_await through->finish(frame_type::exit, json::serialize(last));
}

} // namespace

void add_exec_routes(router& to, const daemon_parts& parts) {
    to.add("POST", "/api/v1/containers/{container}/exec",
        [parts](exchange& request) { return run(request, parts); });
}

} // namespace api
