#include "engine/project/hooks.hpp"

#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <array>
#include <csignal>
#include <memory>

namespace engine {

namespace asio = boost::asio;
using compose::error;
using compose::error_kind;

namespace {

constexpr std::size_t kept_output = 4096; // its end, where the reason of a failure is

struct output_tail {
    output_tail(asio::io_context& io, unique_fd from) : pipe(io, from.release()) {}

    asio::posix::stream_descriptor pipe;
    std::string text;
};

/// Reads to the end: a hook must not block on a full pipe.
task<> drain(std::shared_ptr<output_tail> of) {
    std::array<char, 4096> bytes{};
    boost::system::error_code failure;
    while (!failure) {
        const auto buffer = asio::buffer(bytes);
        const std::size_t got =
            co_await of->pipe.async_read_some(buffer, asio::redirect_error(asio::use_awaitable, failure));
        of->text.append(bytes.data(), got);
        if (of->text.size() > kept_output)
            of->text.erase(0, of->text.size() - kept_output);
    }
}

std::string last_line(std::string text) {
    while (text.ends_with('\n'))
        text.pop_back();
    const std::string line = text.substr(text.rfind('\n') + 1);
    return line.empty() ? line : ": " + line;
}

exec_spec spec_of(const compose::hook& hook) {
    exec_spec spec;
    spec.args = hook.command;
    spec.user = hook.user;
    spec.privileged = hook.privileged;
    spec.cwd = hook.working_dir;
    spec.merge_stderr = true;
    for (const auto& [name, value] : hook.environment)
        if (value)
            spec.env.push_back(fmt::format("{}={}", name, *value));
    return spec;
}

} // namespace

task<> run_hooks(executors on, container_runtime& runtime, std::string container, std::string kind,
    std::vector<compose::hook> hooks, std::chrono::nanoseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (const compose::hook& hook : hooks) {
        exec_spec spec = spec_of(hook);
        exec_session session = co_await runtime.exec(container, std::move(spec));
        const auto output = std::make_shared<output_tail>(on.io, std::move(session.streams().output));
        spawn(on.io, kind, drain(output));
        std::optional<int> code = co_await session.wait_for(deadline - std::chrono::steady_clock::now());
        const bool late = !code;
        if (late) {
            session.signal(SIGKILL);
            co_await session.wait();
        }
        boost::system::error_code ignored;
        output->pipe.cancel(ignored);
        if (late)
            throw error(error_kind::unavailable,
                fmt::format("{} hook \"{}\" was killed: it took longer than {} s", kind, hook.command.front(),
                    std::chrono::duration_cast<std::chrono::seconds>(limit).count()));
        if (*code != 0)
            throw error(error_kind::unavailable, fmt::format("{} hook \"{}\" exited with code {}{}", kind,
                                                     hook.command.front(), *code, last_line(output->text)));
    }
}

} // namespace engine
