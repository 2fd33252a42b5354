#include "engine/project/up_waiter.hpp"

#include "compose/model/error.hpp"
#include "engine/project/dependency_verdict.hpp"
#include "engine/project/failure_log.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace engine {

using compose::error;
using compose::error_kind;
using clock = std::chrono::system_clock;

namespace {

// Their delays are 3.1 s together (restart.hpp): time enough for what only waits for its database to begin.
constexpr unsigned restarts_allowed = 5;

} // namespace

std::chrono::milliseconds uptime_of(const container_view& view) {
    if (!view.run)
        return std::chrono::milliseconds(0);
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - view.run->started_at);
}

task<> wait_for_change(
    container_manager& containers, wait_limit until, std::string waiting, std::chrono::nanoseconds longest) {
    if (until) {
        const std::chrono::nanoseconds left = *until - std::chrono::steady_clock::now();
        if (left <= left.zero())
            throw error(error_kind::unavailable,
                fmt::format("timeout: container {} is not up yet; see: compose ps, compose logs", waiting));
        longest = std::min(longest, left);
    }
    if (longest == longest.max())
        co_await containers.changed().wait();
    else
        co_await containers.changed().wait_for(longest);
}

up_verdict judge_running(const observed_container& seen, std::chrono::milliseconds uptime) noexcept {
    if (seen.health == observed_health::unhealthy)
        return up_verdict::failed;
    const bool up = seen.health == observed_health::healthy ||
                    (seen.health == observed_health::none && uptime >= settled_after);
    return up && !seen.hooks_due ? up_verdict::up : up_verdict::not_yet;
}

up_verdict judge_up(const observed_container& seen, std::chrono::milliseconds uptime, unsigned restarts) {
    switch (seen.state) {
    case run_state::running:
        return judge_running(seen, uptime);
    case run_state::starting:
        return up_verdict::not_yet;
    case run_state::restarting:
        return restarts >= restarts_allowed ? up_verdict::failed : up_verdict::not_yet;
    case run_state::created:
    case run_state::paused:
    case run_state::stopping:
    case run_state::exited:
        return up_verdict::failed;
    }
    return up_verdict::failed;
}

std::string why_not_up(const observed_container& seen) {
    switch (seen.state) {
    case run_state::running:
    case run_state::starting:
        return fmt::format("container {} {}", seen.name, unhealthy(seen));
    case run_state::restarting:
        return fmt::format("container {} keeps ending: exited ({}); see: compose logs {}", seen.name,
            seen.exit_code.value_or(255), seen.service);
    case run_state::paused:
        return fmt::format("container {} is paused; let it go on with: compose unpause", seen.name);
    case run_state::created:
        return fmt::format("container {} is not started", seen.name);
    case run_state::stopping:
        return fmt::format("container {} is being stopped", seen.name);
    case run_state::exited:
        return fmt::format("container {} exited ({})", seen.name, seen.exit_code.value_or(255));
    }
    return seen.name;
}

task<> await_up(executors on, container_manager& containers, compose::project project,
    std::set<std::string> services, wait_limit until, std::function<bool()> superseded,
    std::function<void(const container_record&, std::string status)> tell) {
    const std::set<std::string> one_shots = one_shots_of(project);
    std::map<std::string, unsigned> restarts_before; // by id
    std::set<std::string> told;                      // ids
    std::set<std::string> done;
    const auto came_out = [&](const container_record& of, std::string status) {
        if (told.insert(of.id).second)
            tell(of, "Waiting");
        if (done.insert(of.id).second)
            tell(of, std::move(status));
    };
    for (;;) {
        if (superseded())
            throw error(error_kind::conflict, "superseded");
        std::string waiting;
        for (const container_view* each : containers.of_project(project.name)) {
            if (!services.contains(each->record.service) || !each->record.is_own() ||
                each->record.service_definition().scheduled)
                continue;
            const observed_container seen = observe(*each);
            const unsigned count = each->record.history.count;
            const unsigned before = restarts_before.emplace(seen.id, count).first->second;
            if (one_shots.contains(seen.service) && seen.state == run_state::exited && seen.exit_code == 0) {
                came_out(each->record, "Exited");
                continue;
            }
            const bool runs_to_its_end = one_shots.contains(seen.service) && seen.state == run_state::running;
            const up_verdict now = judge_up(seen, uptime_of(*each), count - std::min(before, count));
            if (now == up_verdict::failed) {
                came_out(each->record, "Error");
                const std::string why = co_await with_last_lines(on, containers, seen.id, why_not_up(seen));
                throw error(error_kind::unavailable, why);
            }
            if (now == up_verdict::up && !runs_to_its_end) {
                came_out(each->record, "Healthy");
                continue;
            }
            waiting = seen.name;
            if (told.insert(seen.id).second)
                tell(each->record, "Waiting");
        }
        if (waiting.empty())
            co_return;
        co_await wait_for_change(containers, until, waiting, settled_after); // uptime passes without a word
    }
}

} // namespace engine
