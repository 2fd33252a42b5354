#include "engine/container/container_runtime.hpp"

#include "engine/container/runtime_state.hpp"
#include "engine/shim/protocol.hpp"
#include "engine/shim/state_files.hpp"
#include "engine/system/crash_point.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

namespace engine {

namespace {

using compose::error_kind;

constexpr auto start_limit = std::chrono::seconds(60);

// The text of a start that failed. Reads the runtime's log: blocks.
compose::error start_failure(
    const runtime_host& host, const launch& what, const running_container::failure& failure) {
    const std::string begin = fmt::format("start container \"{}\"", what.name);
    std::string reason = std::strerror(static_cast<int>(failure.code));
    if (failure.code == EINVAL && host.abilities.own_users && !what.spec.host_users)
        reason +=
            " (userns_remap needs Linux 5.19, and file systems that can map ids: ext4, xfs, btrfs, tmpfs)";
    switch (static_cast<failure_step>(failure.step)) {
    case failure_step::runtime:
        if (failure.text.empty())
            return runtime_failure(host.run_folder(what.id) / run_file::runtime_log, begin, failure.code);
        return {error_kind::internal, fmt::format("{}: execute \"{}\": {}", begin, failure.text, reason)};
    case failure_step::root_filesystem:
        return {error_kind::internal,
            fmt::format("{}: root file system at \"{}\": {}", begin, failure.text, reason)};
    case failure_step::mount:
        return {static_cast<int>(failure.code) == ENOENT ? error_kind::not_found : error_kind::invalid,
            fmt::format("{}: {}: {}", begin, failure.text, reason)};
    case failure_step::network:
        return {
            error_kind::internal, fmt::format("{}: network namespace {}: {}", begin, failure.text, reason)};
    default:
        return {error_kind::internal, fmt::format("{}: {}: {}", begin, failure.text, reason)};
    }
}

// Sends what the hook wants held, in packets of what one takes.
void send_held(running_container& run, const std::vector<held_socket>& held) {
    std::vector<int> kept;
    std::vector<int> carried;
    std::vector<forward_target> targets;
    const auto flush = [&](std::size_t limit) {
        if (kept.size() > limit)
            run.send(message_type::keep, 0, {}, std::exchange(kept, {}));
        if (carried.size() > limit)
            run.send(
                message_type::forward, 0, encode(std::exchange(targets, {})), std::exchange(carried, {}));
    };
    for (const held_socket& each : held) {
        if (each.forward_to.empty()) {
            kept.push_back(each.socket.get());
        } else {
            carried.push_back(each.socket.get());
            targets.push_back({.udp = each.udp, .address = each.forward_to, .port = each.port});
        }
        flush(max_message_descriptors - 1);
    }
    flush(0);
}

bool is_ready(const running_container& run) {
    return run.network_ready || run.failed || run.gone;
}

// From the shim's start to the process's. Throws what went wrong; the run is the caller's to end then.
task<> bring_up(executors pools, std::shared_ptr<const runtime_host> host, run_pointer run,
    std::shared_ptr<const launch> what, network_hook network) {
    bool in_time = co_await run->wait_until(is_ready, start_limit);
    if (in_time && !run->failed && !run->gone) {
        crash_point("start: its network namespace is there");
        const std::vector<held_socket> held = co_await network(*run->network_ready);
        send_held(*run, held);
        crash_point("start: it is connected");
        run->send(message_type::go);
    }
    if (in_time)
        in_time = co_await run->wait_until(has_begun, start_limit);
    if (!in_time)
        throw compose::error(error_kind::unavailable,
            fmt::format("start container \"{}\": the OCI runtime does not finish", what->name));
    if (run->failed) {
        const running_container::failure reason = *run->failed;
        auto explain = [host, what, reason] { throw start_failure(*host, *what, reason); };
        co_await blocking(pools.workers, explain);
    }
    if (!run->started)
        throw compose::error(error_kind::internal,
            fmt::format("start container \"{}\": its shim ended unexpectedly", what->name));
}

} // namespace

task<start_record> container_runtime::start(launch what, network_hook network) {
    const auto self = implementation_;
    const auto host = self->host;
    const std::vector<std::string> capabilities = capabilities_of(what.spec);
    const std::string id = what.id;
    bool learner = false;
    if (learns_seccomp(*host, what) && host->seccomp.compiled(capabilities).empty()) {
        // One run compiles the system call filter; those at the same time wait some 20 ms for it, once, and
        // save 4 ms each.
        if (self->learning.contains(capabilities))
            co_await self->learnt.wait();
        learner = host->seccomp.compiled(capabilities).empty() && self->learning.insert(capabilities).second;
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

task<start_record> container_runtime::start_run(launch given, network_hook network) {
    const auto self = implementation_;
    const auto what = std::make_shared<const launch>(std::move(given));
    if (!is_container_id(what->id))
        throw compose::error(error_kind::invalid, fmt::format("\"{}\" is not a container id", what->id));
    if (const auto found = self->runs.find(what->id); found != self->runs.end()) {
        const run_pointer earlier = found->second;
        if (!earlier->exited && !earlier->failed)
            throw compose::error(
                error_kind::conflict, fmt::format("container \"{}\" runs already", what->name));
        co_await earlier->wait_until(is_gone, for_ever);
        self->drop(earlier);
    }
    const run_pointer run = self->add(what->id, what->name);
    const auto host = self->host;
    const auto socket = std::make_shared<unique_fd>();
    const auto shim = std::make_shared<unique_fd>();
    auto prepare = [host, what] { return prepare_run(*host, *what); };
    try {
        prepared_run prepared = co_await blocking(self->pools.workers, prepare);
        *socket = std::move(prepared.socket);
        *shim = std::move(prepared.shim.handle);
    } catch (...) {
        run->never_was();
        self->drop(run);
        throw;
    }
    spawn(self->pools.io, fmt::format("container {}", what->name),
        implementation::serve(self, run, socket, shim, false));
    std::exception_ptr failure;
    try {
        co_await bring_up(self->pools, host, run, what, std::move(network));
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        run->send(message_type::acknowledge);
        run->abandon();
        co_await run->wait_until(is_gone, for_ever);
        std::rethrow_exception(failure);
    }
    co_return *run->started;
}

} // namespace engine
