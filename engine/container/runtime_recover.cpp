#include "engine/container/container_runtime.hpp"

#include "engine/container/runtime_state.hpp"
#include "engine/system/child_process.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>

namespace engine {

namespace fs = std::filesystem;

namespace {

constexpr auto answer_limit = std::chrono::seconds(2); // of a shim

void empty_trash(const fs::path& trash) {
    std::error_code failure;
    for (const fs::directory_entry& entry : fs::directory_iterator(trash, failure)) {
        fs::remove_all(entry.path(), failure);
        if (failure)
            spdlog::warn("remove \"{}\": {}", entry.path().native(), failure.message());
    }
}

struct found_run {
    std::string id;
    std::shared_ptr<unique_fd> socket; // empty: its shim is dead
};

/// Whoever has removed the folder of a run has left its shim and its container, which nobody can reach any
/// more: they end. The cgroups alone do not tell, as a daemon in another network namespace may have the same.
void find_lost_runs(const runtime_host& host, std::vector<found_run>& found) {
    for (const std::string& id : host.instance_cgroup().children()) {
        if (!is_container_id(id) || fs::exists(host.run_folder(id)))
            continue;
        bool lost = false;
        for (const int pid : host.cgroup(id).processes())
            if (const unique_fd shim = open_parent_in_removed_folder(pid)) {
                send_signal(shim, SIGKILL);
                lost = true;
            }
        if (!lost)
            continue;
        spdlog::warn("container {}: \"{}\" was removed, so it is ended", id.substr(0, 12),
            host.run_folder(id).native());
        found.push_back({.id = id, .socket = std::make_shared<unique_fd>()});
    }
}

std::vector<found_run> find_runs(const runtime_host& host) {
    std::vector<found_run> found;
    find_lost_runs(host, found);
    for (const fs::directory_entry& entry : fs::directory_iterator(host.options.run / "container")) {
        const std::string id = entry.path().filename();
        if (!is_container_id(id))
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
    }
    std::vector<std::pair<std::string, start_record>> running; // now: some have ended while others were heard
    for (const run_pointer& run : runs) {
        if (run->gone)
            self->drop(run);
        else if (run->started && !run->exited)
            running.emplace_back(run->id(), *run->started);
    }
    co_return running;
}

} // namespace engine
