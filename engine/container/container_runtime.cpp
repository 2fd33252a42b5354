#include "engine/container/container_runtime.hpp"

#include "engine/container/cgroup_limits.hpp"
#include "engine/container/runtime_state.hpp"
#include "engine/shim/protocol.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <csignal>

namespace engine {

namespace fs = std::filesystem;

namespace {

using compose::error_kind;

constexpr auto kill_limit = std::chrono::seconds(5); // for the shim to hear, and for the kernel to end it

bool has_told_exit(const running_container& run) {
    return run.exit_told || run.gone;
}

void send_signal_to(running_container& run, int number) {
    run.send(message_type::signal, 0, field_writer().number(number).take());
}

} // namespace

bool is_container_id(const std::string& id) {
    return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char letter) {
        return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f');
    });
}

compose::error not_running(const std::string& id) {
    return {error_kind::conflict, fmt::format("container \"{}\" is not running", id)};
}

container_runtime::container_runtime(executors executors, runtime_options options, runtime_events events)
    : implementation_(std::make_shared<implementation>(executors, std::move(options), std::move(events))) {}

container_runtime::~container_runtime() {
    for (const auto& [id, run] : implementation_->runs)
        run->detach();
    if (implementation_->runs.empty())
        implementation_->host->instance_cgroup().remove_if_empty();
}

task<> container_runtime::stop(std::string id, int number, std::chrono::nanoseconds grace) {
    const auto self = implementation_;
    const auto found = self->runs.find(id);
    if (found == self->runs.end())
        co_return;
    const run_pointer run = found->second;
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
        run->ending = true;
        send_signal_to(*run, SIGKILL);
    }
    bool ended = co_await run->wait_until(has_told_exit, kill_limit);
    if (!ended) { // the shim does not hear, stopped by somebody or stuck
        run->end_shim();
        ended = co_await run->wait_until(has_told_exit, kill_limit);
    }
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

task<> container_runtime::change_limits(std::string id, compose::limits before, compose::limits after) {
    const auto self = implementation_;
    const auto found = self->runs.find(id);
    if (found == self->runs.end() || !found->second->started || found->second->exited)
        co_return;
    const auto host = self->host;
    auto change = [host, id, before, after] {
        container_spec old;
        container_spec fresh;
        old.limits = before;
        fresh.limits = after;
        fit_to_host(old, host->abilities);
        fit_to_host(fresh, host->abilities);
        write_limits(host->cgroup(id), changes_of_limits(old.limits, fresh.limits, host->abilities.cgroups));
    };
    co_await blocking(self->pools.workers, change);
}

const host_abilities& container_runtime::host() const noexcept {
    return implementation_->host->abilities;
}

task<bool> container_runtime::is_frozen(std::string id) const {
    const container_cgroup cgroup = implementation_->host->cgroup(id);
    auto look = [cgroup] { return cgroup.is_frozen(); };
    co_return co_await blocking(implementation_->pools.workers, look);
}

container_cgroup container_runtime::cgroup(const std::string& id) const {
    return implementation_->host->cgroup(id);
}

void container_runtime::resize(const std::string& id, std::uint16_t rows, std::uint16_t columns) {
    implementation_->find_running(id)->send(
        message_type::resize, 0, field_writer().number(rows).number(columns).take());
}

std::vector<std::string> container_runtime::on_disk() const {
    std::vector<std::string> ids;
    std::error_code none;
    for (const fs::directory_entry& entry :
        fs::directory_iterator(implementation_->host->options.state / "container", none))
        if (const std::string id = entry.path().filename(); is_container_id(id))
            ids.push_back(id);
    return ids;
}

task<> container_runtime::remove(std::string id) {
    const auto self = implementation_;
    if (!is_container_id(id))
        throw compose::error(error_kind::invalid, fmt::format("\"{}\" is not a container id", id));
    if (const auto found = self->runs.find(id); found != self->runs.end()) {
        const run_pointer run = found->second;
        if (!run->exited && !run->failed)
            throw compose::error(error_kind::conflict,
                fmt::format("container \"{}\" is running: stop it before removing it", run->name()));
        co_await run->wait_until(is_gone, for_ever);
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

former_logs container_runtime::replaced_logs() const {
    return former_logs(implementation_->host->options.state / "former");
}

fs::path container_runtime::upper(const std::string& id) const {
    return implementation_->host->state_folder(id) / "upper";
}

const fs::path& container_runtime::api_socket() const noexcept {
    return implementation_->host->options.api_socket;
}

const fs::path& container_runtime::oci_runtime() const noexcept {
    return implementation_->host->oci_runtime;
}

} // namespace engine
