#include "engine/project/up_waiter.hpp"

#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace engine {

using compose::error;
using compose::error_kind;
using clock = std::chrono::system_clock;

namespace {

constexpr auto settled_after = std::chrono::seconds(1);
// Their delays are 3.1 s together (restart.hpp): time enough for what only waits for its database to begin.
constexpr unsigned restarts_allowed = 5;

std::chrono::milliseconds uptime_of(const container_view& view) {
    if (!view.run)
        return std::chrono::milliseconds(0);
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - view.run->started_at);
}

} // namespace

wait_verdict judge_up(const observed_container& seen, std::chrono::milliseconds uptime, unsigned restarts) {
    switch (seen.state) {
    case run_state::running:
        if (seen.health == observed_health::healthy)
            return wait_verdict::up;
        if (seen.health == observed_health::unhealthy)
            return wait_verdict::failed;
        return seen.health == observed_health::none && uptime >= settled_after ? wait_verdict::up
                                                                               : wait_verdict::not_yet;
    case run_state::starting:
        return wait_verdict::not_yet;
    case run_state::restarting:
        return restarts >= restarts_allowed ? wait_verdict::failed : wait_verdict::not_yet;
    case run_state::created:
    case run_state::paused:
    case run_state::stopping:
    case run_state::exited:
        return wait_verdict::failed;
    }
    return wait_verdict::failed;
}

std::string why_not_up(const observed_container& seen) {
    switch (seen.state) {
    case run_state::running:
    case run_state::starting:
        return fmt::format("container {} is unhealthy", seen.name);
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

task<> await_up(container_manager& containers, compose::project project, std::set<std::string> services,
    std::optional<std::chrono::nanoseconds> limit, std::function<bool()> superseded,
    std::function<void(const container_record&, std::string status)> tell) {
    const std::set<std::string> one_shots = one_shots_of(project);
    const auto deadline =
        limit ? clock::now() + std::chrono::duration_cast<clock::duration>(*limit) : clock::time_point::max();
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
            const wait_verdict now = judge_up(seen, uptime_of(*each), count - std::min(before, count));
            if (now == wait_verdict::failed) {
                came_out(each->record, "Error");
                throw error(error_kind::unavailable, why_not_up(seen));
            }
            if (now == wait_verdict::up && !runs_to_its_end) {
                came_out(each->record, "Healthy");
                continue;
            }
            waiting = seen.name;
            if (told.insert(seen.id).second)
                tell(each->record, "Waiting");
        }
        if (waiting.empty())
            co_return;
        if (clock::now() >= deadline)
            throw error(error_kind::unavailable,
                fmt::format("timeout: container {} is not up yet; see: compose ps, compose logs", waiting));
        co_await containers.changed().wait_for(
            std::min<clock::duration>(settled_after, deadline - clock::now()));
    }
}

} // namespace engine
