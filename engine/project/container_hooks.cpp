#include "engine/project/container_manager_state.hpp"

#include "compose/model/error.hpp"
#include "engine/project/container_life.hpp"
#include "engine/project/hooks.hpp"
#include "engine/system/blocking.hpp"
#include "engine/system/child_process.hpp"
#include "engine/system/crash_point.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

// The commands in a container after its start and before its stop.
//
// How far those after the start are is in its record: one that has ended is not run again. The shim keeps the
// one that is under way when the daemon dies, so the next one takes it over; only where that cannot tell what
// has become of it is it run once more.
namespace engine {

using compose::error;
using compose::error_kind;

bool hooks_run(const container_view& view) {
    return view.run && view.record.wanted && view.record.hooks_due > 0 && view.state != run_state::stopping;
}

namespace {

/// Whether the process ends about now. Blocks.
bool ends(pid_t process) {
    constexpr auto moment = std::chrono::milliseconds(200);
    try {
        return has_ended(open_process(process), moment);
    } catch (const error&) {
        return true; // it has
    }
}

} // namespace

/// A container takes its hooks with it, and their ends are heard of before its own.
task<> container_manager::implementation::await_end_with(std::string id, std::uint64_t generation) {
    constexpr auto longest = std::chrono::seconds(15); // that a shim takes to tell of it
    const auto runs = [&] {
        const auto found = entries.find(id);
        return found != entries.end() && found->second->view.run &&
               found->second->view.record.generation == generation;
    };
    if (!runs())
        co_return;
    const pid_t process = at(id).view.run->pid;
    auto look = [process] { return ends(process); };
    const bool ended = co_await blocking(parts.on.workers, look);
    const auto until = std::chrono::steady_clock::now() + longest;
    while (ended && runs() && std::chrono::steady_clock::now() < until)
        co_await changed.wait_for(longest);
}

task<> container_manager::implementation::run_post_start(std::string id, std::uint64_t generation) {
    const bool of_former_daemon = !recovered;
    while (!recovered)
        co_await changed.wait();
    const auto due = [&] {
        const auto found = entries.find(id);
        return found != entries.end() && found->second->view.record.generation == generation &&
               hooks_run(found->second->view);
    };
    while (due() && !closed) {
        if (at(id).view.record.paused || at(id).view.state == run_state::paused) {
            co_await changed.wait();
            continue;
        }
        const std::vector<compose::hook>& hooks = at(id).view.record.service_definition().post_start;
        const std::size_t index = hooks.size() - std::min(hooks.size(), at(id).view.record.hooks_due);
        hook_run next{.container = id,
            .kind = "post_start",
            .what = hooks.at(index),
            .name = fmt::format("post_start {}", index),
            .limit = std::nullopt};
        crash_point("hook: before it");
        std::string failure = co_await run_hook(parts.on, runtime, std::move(next));
        crash_point("hook: it has ended");
        if (!failure.empty())
            co_await await_end_with(id, generation);
        if (!due())
            break;
        managed_container& of = at(id);
        hook_ended(of.view.record, std::move(failure));
        save(of);
        co_await parts.records.durable();
        crash_point("hook: that is durable");
        if (of_former_daemon && entries.contains(id))
            warn_of_hook(at(id));
    }
    changed.notify_all();
}

/// Where nobody else is there to tell of it.
void container_manager::implementation::warn_of_hook(const managed_container& of) {
    if (!of.view.record.hook_failure.empty())
        announce(of, "Warning", of.view.record.hook_failure);
}

task<> container_manager::implementation::post_start_over(std::string id, std::function<bool()> given_up) {
    const auto generation_of = [&] {
        const auto found = entries.find(id);
        return found == entries.end() ? 0 : found->second->view.record.generation;
    };
    const std::uint64_t generation = generation_of();
    while (generation != 0 && generation_of() == generation && !(given_up && given_up()) &&
           (at(id).view.state == run_state::starting || hooks_run(at(id).view)))
        co_await changed.wait();
}

task<std::string> container_manager::failed_hook(std::string id) {
    implementation& self = *implementation_;
    co_await self.post_start_over(id);
    const container_view* of = find(id);
    co_return of == nullptr ? std::string() : of->record.hook_failure;
}

task<> container_manager::await_hooks(std::string id, std::function<bool()> given_up) {
    implementation& self = *implementation_;
    const std::uint64_t generation = self.at(id).view.record.generation;
    co_await self.post_start_over(id, given_up);
    const container_view* of = find(id);
    if (of == nullptr || of->record.generation != generation)
        co_return;
    const container_record& record = of->record;
    if (!record.hook_failure.empty())
        throw error(error_kind::unavailable, record.hook_failure);
    if (hooks_run(*of))
        throw error(error_kind::conflict,
            fmt::format("container \"{}\": something else has been asked of its project; its post_start "
                        "hooks go on",
                record.name));
    if (!of->run && record.hooks_due > 0 && record.exit && record.exit->code != 0)
        throw error(error_kind::unavailable,
            fmt::format("container \"{}\" exited ({}) before its post_start hooks had ended; see: compose "
                        "logs {}",
                record.name, record.exit->code, record.service));
}

namespace {

struct hook_end {
    explicit hook_end(boost::asio::io_context& io) : changed(io) {}

    notifier changed;
    std::optional<std::string> failure; // as run_hook() tells it, once it has ended
};

task<> run_to(std::shared_ptr<hook_end> end, executors on, container_runtime& runtime, hook_run which) {
    end->failure = co_await run_hook(on, runtime, std::move(which));
    end->changed.notify_all();
}

} // namespace

/// What it asks for before its stop signal, as long as it would have after that. Whatever comes of it, it
/// ends: a shim that does not hear, or a hook that no SIGKILL ends, is left to the stop.
task<> container_manager::implementation::run_pre_stop(std::string id, std::chrono::nanoseconds grace) {
    constexpr std::chrono::nanoseconds longest = std::chrono::hours(24); // of who may take for ever
    constexpr auto to_be_killed = std::chrono::seconds(2);
    const std::vector<compose::hook> hooks = at(id).view.record.service_definition().pre_stop;
    if (grace == std::chrono::nanoseconds(0))
        co_return;
    const auto until = std::chrono::steady_clock::now() + (grace.count() < 0 ? longest : grace);
    for (const compose::hook& each : hooks) {
        hook_run next{.container = id,
            .kind = "pre_stop",
            .what = each,
            .name = {},
            .limit = until - std::chrono::steady_clock::now()};
        const auto end = std::make_shared<hook_end>(parts.on.io);
        spawn(
            parts.on.io, "pre_stop of " + id.substr(0, 12), run_to(end, parts.on, runtime, std::move(next)));
        while (!end->failure && std::chrono::steady_clock::now() < until + to_be_killed)
            co_await end->changed.wait_for(until + to_be_killed - std::chrono::steady_clock::now());
        const std::string failure = end->failure.value_or(
            fmt::format("{} does not end, and is not waited for", title_of("pre_stop", each)));
        if (failure.empty())
            continue;
        if (entries.contains(id))
            announce(at(id), "Warning", failure);
        co_return;
    }
}

} // namespace engine
