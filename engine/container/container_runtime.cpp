#include "engine/container/container_runtime.hpp"

#include "engine/container/bundle.hpp"
#include "engine/container/exec_state.hpp"
#include "engine/container/layered_files.hpp"
#include "engine/container/running_container.hpp"
#include "engine/shim/state_files.hpp"
#include "engine/system/file.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/json.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <map>
#include <set>

namespace engine {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

using compose::error_kind;
using run_pointer = std::shared_ptr<running_container>;

constexpr auto start_limit = std::chrono::seconds(60);
constexpr auto kill_limit = std::chrono::seconds(10);
constexpr auto answer_limit = std::chrono::seconds(2); // of a shim at recovery
constexpr auto for_ever = std::chrono::nanoseconds(0);

bool is_gone(const running_container& run) {
    return run.gone;
}

bool has_told_exit(const running_container& run) {
    return run.exit_told || run.gone;
}

std::pair<unique_fd, unique_fd> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        throw_errno("create", "pipe");
    return {unique_fd(ends[0]), unique_fd(ends[1])};
}

void set_non_blocking(const unique_fd& fd) {
    ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

// The daemon's ends and, in the order that the shim expects, the other ones.
struct pipe_set {
    stream_set ours;
    std::vector<unique_fd> theirs;

    void add_input() {
        auto [read_end, write_end] = make_pipe();
        set_non_blocking(write_end);
        ours.input = std::move(write_end);
        theirs.push_back(std::move(read_end));
    }

    void add_output(unique_fd& into) {
        auto [read_end, write_end] = make_pipe();
        set_non_blocking(read_end);
        into = std::move(read_end);
        theirs.push_back(std::move(write_end));
    }

    std::vector<int> numbers() const {
        std::vector<int> all;
        for (const unique_fd& fd : theirs)
            all.push_back(fd.get());
        return all;
    }
};

unique_fd null_device() {
    return open_file("/dev/null", O_RDWR);
}

pipe_set streams_for(const exec_spec& spec) {
    pipe_set streams;
    if (spec.tty)
        return streams;
    if (spec.attach_stdin)
        streams.add_input();
    else
        streams.theirs.push_back(null_device());
    if (!spec.attach_output) {
        streams.theirs.push_back(null_device());
        streams.theirs.push_back(null_device());
        return streams;
    }
    streams.add_output(streams.ours.output);
    if (spec.merge_stderr)
        streams.theirs.push_back(streams.theirs.back().duplicate());
    else
        streams.add_output(streams.ours.error);
    return streams;
}

void send_signal_to(running_container& run, int number) {
    run.send(message_type::signal, 0, field_writer().number(number).take());
}

bool is_identifier(const std::string& id) {
    return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char letter) {
        return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f');
    });
}

compose::error not_running(const std::string& id) {
    return {error_kind::conflict, fmt::format("container \"{}\" is not running", id)};
}

// The text of a start that failed. Reads the runtime's log: blocks.
compose::error start_failure(
    const runtime_host& host, const launch& what, const running_container::failure& failure) {
    const std::string begin = fmt::format("start container \"{}\"", what.name);
    const std::string reason = std::strerror(static_cast<int>(failure.code));
    switch (static_cast<failure_step>(failure.step)) {
    case failure_step::runtime:
        if (failure.text.empty())
            return runtime_failure(host.run_folder(what.id) / run_file::runtime_log, begin, failure.code);
        return {error_kind::internal, fmt::format("{}: execute \"{}\": {}", begin, failure.text, reason)};
    case failure_step::root_filesystem:
        return {error_kind::internal,
            fmt::format("{}: root file system at \"{}\": {}", begin, failure.text, reason)};
    case failure_step::network:
        return {
            error_kind::internal, fmt::format("{}: network namespace {}: {}", begin, failure.text, reason)};
    default:
        return {error_kind::internal, fmt::format("{}: {}: {}", begin, failure.text, reason)};
    }
}

void empty_trash(const fs::path& trash) {
    std::error_code failure;
    for (const fs::directory_entry& entry : fs::directory_iterator(trash, failure)) {
        fs::remove_all(entry.path(), failure);
        if (failure)
            spdlog::warn("remove \"{}\": {}", entry.path().native(), failure.message());
    }
}

} // namespace

struct container_runtime::implementation {
    implementation(executors given, runtime_options options, runtime_events told)
        : pools(given), host(std::make_shared<const runtime_host>(std::move(options))),
          events(std::move(told)), learnt(given.io) {}

    run_pointer find_running(const std::string& id) const {
        const auto found = runs.find(id);
        if (found == runs.end() || !found->second->started || found->second->exited)
            throw not_running(id);
        return found->second;
    }

    run_pointer add(const std::string& id, const std::string& name) {
        auto run = std::make_shared<running_container>(pools, host, events, id, name);
        runs[id] = run;
        return run;
    }

    // The entry goes with the run's end; `self` keeps the map alive for it.
    static task<> serve(std::shared_ptr<implementation> self, run_pointer run,
        std::shared_ptr<unique_fd> socket, std::shared_ptr<unique_fd> shim, bool recovered) {
        co_await run->serve(std::move(*socket), std::move(*shim), recovered);
        self->drop(run);
    }

    static task<> bury(std::shared_ptr<implementation> self, run_pointer run) {
        co_await run->bury();
        self->drop(run);
    }

    void drop(const run_pointer& run) {
        const auto found = runs.find(run->id());
        if (found != runs.end() && found->second == run)
            runs.erase(found);
    }

    executors pools;
    std::shared_ptr<const runtime_host> host;
    runtime_events events;
    std::map<std::string, run_pointer> runs;
    std::set<std::vector<std::string>> learning; // capability sets whose filter is being compiled
    notifier learnt;
};

container_runtime::container_runtime(executors executors, runtime_options options, runtime_events events)
    : implementation_(std::make_shared<implementation>(executors, std::move(options), std::move(events))) {}

container_runtime::~container_runtime() {
    implementation_->events = {};
    for (const auto& [id, run] : implementation_->runs)
        run->detach();
    if (implementation_->runs.empty())
        implementation_->host->instance_cgroup().remove_if_empty();
}

namespace {

task<> wait_until_gone(run_pointer run) {
    co_await run->wait_until(is_gone, for_ever);
}

// Sends what the hook wants kept, in packets of what one takes.
void send_kept(running_container& run, const std::vector<unique_fd>& kept) {
    for (std::size_t at = 0; at < kept.size(); at += max_message_descriptors) {
        std::vector<int> numbers;
        for (std::size_t next = at; next < kept.size() && next < at + max_message_descriptors; ++next)
            numbers.push_back(kept[next].get());
        run.send(message_type::keep, 0, {}, numbers);
    }
}

} // namespace

task<start_record> container_runtime::start(launch what, network_hook network) {
    const auto self = implementation_;
    const auto host = self->host;
    const std::vector<std::string> capabilities = capabilities_of(what.spec);
    const std::string id = what.id;
    bool learner = false;
    if (learns_seccomp(*host, what.spec) && host->seccomp.compiled(capabilities).empty()) {
        // One run compiles the system call filter; those at the same time wait some 20 ms for it and save 4
        // ms each.
        while (self->learning.contains(capabilities))
            co_await self->learnt.wait();
        learner = host->seccomp.compiled(capabilities).empty();
        if (learner)
            self->learning.insert(capabilities);
    }
    std::exception_ptr failure;
    start_record record;
    try {
        record = co_await start_run(std::move(what), std::move(network));
        auto learn = [host, id, capabilities] {
            host->seccomp.learn(capabilities, host->oci_root() / id / "seccomp.bpf");
        };
        if (learner)
            co_await blocking(self->pools.workers, learn);
    } catch (...) {
        failure = std::current_exception();
    }
    if (learner) {
        self->learning.erase(capabilities);
        self->learnt.notify_all();
    }
    if (failure)
        std::rethrow_exception(failure);
    co_return record;
}

task<start_record> container_runtime::start_run(launch what, network_hook network) {
    const auto self = implementation_;
    if (!is_identifier(what.id))
        throw compose::error(error_kind::invalid, fmt::format("\"{}\" is not a container id", what.id));
    if (const auto found = self->runs.find(what.id); found != self->runs.end()) {
        const run_pointer earlier = found->second;
        if (!earlier->exited && !earlier->failed)
            throw compose::error(
                error_kind::conflict, fmt::format("container \"{}\" runs already", what.name));
        co_await wait_until_gone(earlier);
        self->drop(earlier);
    }
    const run_pointer run = self->add(what.id, what.name);
    const auto host = self->host;
    auto prepare = [host, &what] { return prepare_run(*host, what); };
    std::exception_ptr failure;
    auto socket = std::make_shared<unique_fd>();
    auto shim = std::make_shared<unique_fd>();
    try {
        prepared_run prepared = co_await blocking(self->pools.workers, prepare);
        *socket = std::move(prepared.socket);
        *shim = std::move(prepared.shim.handle);
    } catch (...) {
        run->never_was();
        self->drop(run);
        throw;
    }
    spawn(self->pools.io, fmt::format("container {}", what.name),
        implementation::serve(self, run, socket, shim, false));
    try {
        const auto is_ready = [](const running_container& each) {
            return each.network_ready || each.failed || each.gone;
        };
        const auto has_begun = [](const running_container& each) {
            return each.started || each.failed || each.gone;
        };
        bool in_time = co_await run->wait_until(is_ready, start_limit);
        if (in_time && !run->failed && !run->gone) {
            std::vector<unique_fd> kept = co_await network(*run->network_ready);
            send_kept(*run, kept);
            run->send(message_type::go);
            kept.clear();
            in_time = co_await run->wait_until(has_begun, start_limit);
        }
        if (!in_time)
            throw compose::error(error_kind::unavailable,
                fmt::format("start container \"{}\": the OCI runtime does not finish", what.name));
        if (run->failed) {
            const running_container::failure reason = *run->failed;
            auto explain = [host, &what, reason] { throw start_failure(*host, what, reason); };
            co_await blocking(self->pools.workers, explain);
        }
        if (!run->started)
            throw compose::error(error_kind::internal,
                fmt::format("start container \"{}\": its shim ended unexpectedly", what.name));
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        run->send(message_type::acknowledge);
        run->abandon();
        co_await wait_until_gone(run);
        std::rethrow_exception(failure);
    }
    co_return *run->started;
}

task<> container_runtime::stop(std::string id, int number, std::chrono::nanoseconds grace) {
    const auto self = implementation_;
    const auto found = self->runs.find(id);
    if (found == self->runs.end())
        co_return;
    const run_pointer run = found->second;
    const auto has_begun = [](const running_container& each) {
        return each.started || each.failed || each.gone;
    };
    co_await run->wait_until(has_begun, for_ever);
    if (!run->started || run->exit_told || run->gone)
        co_return;
    if (!run->exited) {
        if (run->paused) // a frozen process does not hear the signal
            co_await pause(id, false);
        send_signal_to(*run, number);
        if (grace < std::chrono::nanoseconds(0)) {
            co_await run->wait_until(has_told_exit, for_ever);
            co_return;
        }
        const auto patience = std::max<std::chrono::nanoseconds>(grace, std::chrono::milliseconds(1));
        const bool obeyed = co_await run->wait_until(has_told_exit, patience);
        if (obeyed)
            co_return;
        send_signal_to(*run, SIGKILL);
    }
    const bool ended = co_await run->wait_until(has_told_exit, kill_limit);
    if (!ended)
        throw compose::error(error_kind::conflict,
            fmt::format(
                "stop container \"{}\": it does not end even of SIGKILL, stuck in the kernel", run->name()));
}

void container_runtime::signal(const std::string& id, int number) {
    send_signal_to(*implementation_->find_running(id), number);
}

task<> container_runtime::pause(std::string id, bool frozen) {
    const auto self = implementation_;
    const run_pointer run = self->find_running(id);
    const container_cgroup cgroup = self->host->cgroup(id);
    auto freeze = [cgroup, frozen] { cgroup.freeze(frozen); };
    co_await blocking(self->pools.workers, freeze);
    run->paused = frozen;
}

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

} // namespace

task<exec_session> container_runtime::exec(std::string id, exec_spec spec) {
    const auto self = implementation_;
    const auto host = self->host;
    const run_pointer run = self->find_running(id);
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
        pipe_set streams = streams_for(spec);
        const exec_order order{
            .process_file = process_file, .tty = spec.tty, .rows = spec.rows, .columns = spec.columns};
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
    exec->signal = [weak = std::weak_ptr<running_container>(run), session](int number) {
        if (const auto still = weak.lock())
            still->send(message_type::signal, session, field_writer().number(number).take());
    };
    co_return exec_session(exec);
}

task<stream_set> container_runtime::attach(std::string id, attach_request what) {
    const auto found = implementation_->runs.find(id);
    if (found == implementation_->runs.end() || found->second->exited || found->second->gone)
        throw not_running(id);
    pipe_set streams;
    std::int64_t flags = 0;
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

void container_runtime::resize(const std::string& id, std::uint16_t rows, std::uint16_t columns) {
    implementation_->find_running(id)->send(
        message_type::resize, 0, field_writer().number(rows).number(columns).take());
}

task<> container_runtime::remove(std::string id) {
    const auto self = implementation_;
    if (!is_identifier(id))
        throw compose::error(error_kind::invalid, fmt::format("\"{}\" is not a container id", id));
    if (const auto found = self->runs.find(id); found != self->runs.end()) {
        const run_pointer run = found->second;
        if (!run->exited && !run->failed)
            throw compose::error(error_kind::conflict,
                fmt::format("container \"{}\" is running: stop it before removing it", run->name()));
        co_await wait_until_gone(run);
    }
    const fs::path from = self->host->state_folder(id);
    const fs::path trash = self->host->options.state / "trash";
    auto move_away = [from, to = trash / id] {
        std::error_code failure;
        fs::remove_all(to, failure);
        fs::rename(from, to, failure);
        if (failure && failure != std::errc::no_such_file_or_directory)
            throw compose::error(error_kind::internal,
                fmt::format("remove folder \"{}\": {}", from.native(), failure.message()));
        return to;
    };
    const fs::path moved = co_await blocking(self->pools.workers, move_away);
    boost::asio::post(self->pools.workers, [moved] {
        std::error_code failure;
        fs::remove_all(moved, failure);
    });
}

std::vector<std::string> container_runtime::running() const {
    std::vector<std::string> ids;
    for (const auto& [id, run] : implementation_->runs)
        if (!run->exited && !run->failed && !run->gone)
            ids.push_back(id);
    return ids;
}

std::optional<start_record> container_runtime::find(const std::string& id) const {
    const auto found = implementation_->runs.find(id);
    if (found == implementation_->runs.end() || found->second->exited)
        return std::nullopt;
    return found->second->started;
}

fs::path container_runtime::network_namespace(const std::string& id) const {
    const run_pointer run = implementation_->find_running(id);
    return fmt::format("/proc/{}/ns/net", *run->network_ready);
}

fs::path container_runtime::log_file(const std::string& id) const {
    return implementation_->host->state_folder(id) / (id + "-json.log");
}

fs::path container_runtime::upper(const std::string& id) const {
    return implementation_->host->state_folder(id) / "upper";
}

const fs::path& container_runtime::oci_runtime() const noexcept {
    return implementation_->host->oci_runtime;
}

namespace {

struct found_run {
    std::string id;
    std::shared_ptr<unique_fd> socket; // empty: its shim is dead
};

std::vector<found_run> find_runs(const runtime_host& host) {
    std::vector<found_run> found;
    for (const fs::directory_entry& entry : fs::directory_iterator(host.options.run / "container")) {
        const std::string id = entry.path().filename();
        if (!is_identifier(id))
            continue;
        found_run each{.id = id, .socket = std::make_shared<unique_fd>()};
        try {
            if (shim_lives(entry.path()))
                *each.socket = connect_to_shim(entry.path());
        } catch (const compose::error& failure) {
            spdlog::warn("{}", failure.what()); // it ended in between
        }
        found.push_back(std::move(each));
    }
    return found;
}

bool is_decided(const running_container& run) {
    return run.gone || run.exit_told || run.failed || (run.heard && run.started);
}

} // namespace

task<std::vector<std::pair<std::string, start_record>>> container_runtime::recover() {
    const auto self = implementation_;
    const auto host = self->host;
    boost::asio::post(self->pools.workers, [trash = host->options.state / "trash"] { empty_trash(trash); });
    auto look = [host] { return find_runs(*host); };
    const std::vector<found_run> found = co_await blocking(self->pools.workers, look);
    std::vector<run_pointer> runs;
    for (const found_run& each : found) {
        const run_pointer run = self->add(each.id, each.id.substr(0, 12));
        runs.push_back(run);
        spawn(self->pools.io, fmt::format("container {}", each.id),
            *each.socket ? implementation::serve(self, run, each.socket, std::make_shared<unique_fd>(), true)
                         : implementation::bury(self, run));
    }
    std::vector<std::pair<std::string, start_record>> running;
    const auto until = std::chrono::steady_clock::now() + answer_limit;
    for (const run_pointer& run : runs) {
        const std::chrono::nanoseconds left = until - std::chrono::steady_clock::now();
        const auto patience = std::max<std::chrono::nanoseconds>(left, std::chrono::milliseconds(1));
        const bool decided = co_await run->wait_until(is_decided, patience);
        if (!decided)
            spdlog::warn(
                "shim of container \"{}\" does not answer: it is waited for in the background", run->id());
        if (run->failed) // of a start that nobody waits for any more
            run->abandon();
        if (run->started && !run->exited && !run->gone)
            running.emplace_back(run->id(), *run->started);
    }
    for (const run_pointer& run : runs)
        if (run->gone)
            self->drop(run);
    co_return running;
}

} // namespace engine
