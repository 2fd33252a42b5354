#include "engine/container/container_runtime.hpp"

#include "engine/container/exec_state.hpp"
#include "engine/container/layered_files.hpp"
#include "engine/container/runtime_state.hpp"
#include "engine/container/stream_pipes.hpp"
#include "engine/shim/protocol.hpp"
#include "engine/shim/state_files.hpp"
#include "engine/system/file.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace engine {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

// What a worker makes of an exec_spec: the process file of the shim's order.
struct rendered_exec {
    std::shared_ptr<const json::value> config;
};

rendered_exec render_exec(const runtime_host& host, const std::string& id, pid_t pid,
    std::shared_ptr<const json::value> config, const exec_spec& spec, const std::string& process_file) {
    const fs::path folder = host.run_folder(id);
    if (!config)
        config = std::make_shared<const json::value>(json::parse(read_file(folder / run_file::config)));
    exec_process process{.args = spec.args,
        .env = spec.env,
        .cwd = spec.cwd,
        .tty = spec.tty,
        .privileged = spec.privileged,
        .rows = spec.rows,
        .columns = spec.columns,
        .user = nullptr};
    resolved_user user;
    if (!spec.user.empty()) {
        // The container's files by its own root, symlinks resolved inside it (CVE-2026-30892: never by the
        // runtime).
        const std::vector<fs::path> root{fmt::format("/proc/{}/root", pid)};
        const std::string passwd = read_layered_file(root, "etc/passwd").value_or("");
        const std::string group = read_layered_file(root, "etc/group").value_or("");
        user = resolve_user(spec.user, {}, passwd, group);
        process.user = &user;
    }
    write_file(folder / process_file, render_exec_process(*config, process), 0600);
    return {.config = std::move(config)};
}

compose::error exec_failure(const runtime_host& host, const std::string& id, const std::string& name,
    std::uint32_t session, std::int64_t code) {
    const fs::path log = host.run_folder(id) / fmt::format("{}.{}", run_file::runtime_log, session);
    compose::error explained = runtime_failure(log, fmt::format("execute in container \"{}\"", name), code);
    std::error_code ignored;
    fs::remove(log, ignored);
    return explained;
}

std::function<void(int number)> signals_to(const run_pointer& run, std::uint32_t session) {
    return [weak = std::weak_ptr<running_container>(run), session](int number) {
        if (const auto still = weak.lock())
            still->send(message_type::signal, session, field_writer().number(number).take());
    };
}

/// Waits until it runs. Null when there is none, or it did not come to run.
task<std::shared_ptr<exec_session::shared>> take_over(run_pointer run, std::string name) {
    const auto left = run->take_left(name);
    if (!left)
        co_return nullptr;
    while (!left->exec->started && !left->exec->failed)
        co_await left->exec->changed.wait();
    if (left->exec->failed)
        co_return nullptr;
    left->exec->signal = signals_to(run, left->session);
    co_return left->exec;
}

} // namespace

task<exec_session> container_runtime::exec(std::string id, exec_spec spec) {
    const auto self = implementation_;
    const auto host = self->host;
    run_pointer run = self->find_running(id);
    if (run->paused) // it would be frozen before it has begun
        throw compose::error(compose::error_kind::conflict,
            fmt::format(
                "container \"{}\" is paused; let it go on first, with: compose unpause", run->name()));
    if (auto left = co_await take_over(run, spec.name))
        co_return exec_session(std::move(left));
    run = self->find_running(id); // it may have ended meanwhile
    const auto exec = std::make_shared<exec_session::shared>(self->pools.io);
    const std::uint32_t session = run->add_exec(exec);
    const std::string process_file = fmt::format("process.{}", session);
    const pid_t pid = run->started->pid;
    const auto known = run->config;
    auto render = [host, id, pid, known, &spec, process_file] {
        return render_exec(*host, id, pid, known, spec, process_file);
    };
    bool sent = false;
    try {
        rendered_exec rendered = co_await blocking(self->pools.workers, render);
        run->config = std::move(rendered.config);
        stream_pipes streams = streams_for(spec);
        const exec_order order{.process_file = process_file,
            .tty = spec.tty,
            .rows = spec.rows,
            .columns = spec.columns,
            .name = spec.name};
        sent = run->send(message_type::exec, session, encode(order), streams.numbers());
        exec->streams = std::move(streams.ours);
    } catch (...) {
        run->forget_exec(session);
        throw;
    }
    if (!sent || run->exited) {
        run->forget_exec(session);
        throw not_running(id);
    }
    while (!exec->started && !exec->failed)
        co_await exec->changed.wait();
    if (exec->failed) {
        if (run->exited)
            throw not_running(id);
        const std::string name = run->name();
        const std::int64_t code = exec->failure_code;
        auto explain = [host, id, name, session, code] {
            throw exec_failure(*host, id, name, session, code);
        };
        co_await blocking(self->pools.workers, explain);
    }
    exec->signal = signals_to(run, session);
    co_return exec_session(exec);
}

task<stream_set> container_runtime::attach(std::string id, attach_request what) {
    const auto found = implementation_->runs.find(id);
    if (found == implementation_->runs.end() || found->second->exited || found->second->gone)
        throw not_running(id);
    stream_pipes streams;
    std::int64_t flags = 0;
    if (what.hold)
        flags |= attach_hold;
    if (what.input) {
        flags |= attach_input;
        streams.add_input();
    }
    if (what.output) {
        flags |= attach_output;
        streams.add_output(streams.ours.output);
    }
    if (what.error) {
        flags |= attach_error;
        streams.add_output(streams.ours.error);
    }
    if (!found->second->send(message_type::attach, 0, field_writer().number(flags).take(), streams.numbers()))
        throw not_running(id);
    co_return std::move(streams.ours);
}

} // namespace engine
