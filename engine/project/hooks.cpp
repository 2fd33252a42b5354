#include "engine/project/hooks.hpp"

#include "compose/model/error.hpp"
#include "engine/container/exec_output.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <csignal>
#include <utility>

namespace engine {

namespace {

std::string last_line(std::string text) {
    while (text.ends_with('\n'))
        text.pop_back();
    const std::string line = text.substr(text.rfind('\n') + 1);
    return line.empty() ? line : ": " + line;
}

exec_spec spec_of(const hook_run& which) {
    exec_spec spec;
    spec.args = which.what.command;
    spec.user = which.what.user;
    spec.privileged = which.what.privileged;
    spec.cwd = which.what.working_dir;
    spec.merge_stderr = true;
    spec.name = which.name;
    for (const auto& [name, value] : which.what.environment)
        if (value)
            spec.env.push_back(fmt::format("{}={}", name, *value));
    return spec;
}

task<std::string> execute(executors on, container_runtime& runtime, hook_run which) {
    const std::string title = title_of(which.kind, which.what);
    if (which.what.command.empty()) // a kept definition, or one from the API: files are checked
        throw compose::error(compose::error_kind::invalid,
            fmt::format("{} hook: command is empty; say what to run", which.kind));
    exec_spec spec = spec_of(which);
    exec_session session = co_await runtime.exec(which.container, std::move(spec));
    exec_output output(on, std::move(session.streams().output), exec_output::kept::end);
    std::optional<int> code;
    if (which.limit)
        code = co_await session.wait_for(*which.limit);
    else
        code = co_await session.wait();
    if (!code) {
        session.signal(SIGKILL);
        co_await session.wait();
        co_return fmt::format("{} was killed: it took longer than {} s", title,
            std::chrono::ceil<std::chrono::seconds>(*which.limit).count());
    }
    if (*code == 0)
        co_return std::string();
    co_await output.await_rest();
    co_return fmt::format("{} exited with code {}{}", title, *code, last_line(output.text()));
}

} // namespace

std::string title_of(const std::string& kind, const compose::hook& of) {
    return fmt::format("{} hook \"{}\"", kind, of.command.empty() ? std::string() : of.command.front());
}

task<std::string> run_hook(executors on, container_runtime& runtime, hook_run which) {
    std::string why;
    try {
        why = co_await execute(on, runtime, std::move(which));
    } catch (const compose::error& failure) {
        why = failure.what();
    }
    co_return why;
}

} // namespace engine
