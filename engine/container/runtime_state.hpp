#pragma once

#include "engine/container/bundle.hpp"
#include "engine/container/container_runtime.hpp"
#include "engine/container/running_container.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/awaitable.hpp>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

// What the parts of container_runtime share: container_runtime.cpp, runtime_start.cpp, runtime_exec.cpp and
// runtime_recover.cpp.
namespace engine {

using run_pointer = std::shared_ptr<running_container>;

constexpr auto for_ever = std::chrono::nanoseconds(0);

/// Up to 64 hexadecimal digits: safe as the name of a folder.
bool is_container_id(const std::string& id);

compose::error not_running(const std::string& id);

inline bool is_gone(const running_container& run) {
    return run.gone;
}

/// The OCI runtime's part of the start is over, one way or the other.
inline bool has_begun(const running_container& run) {
    return run.started || run.failed || run.gone;
}

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

} // namespace engine
