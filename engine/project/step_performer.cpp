#include "engine/project/step_performer.hpp"

#include "compose/model/error.hpp"
#include "engine/image/image_store.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/project/definitions.hpp"
#include "engine/project/dependency_verdict.hpp"
#include "engine/project/failure_log.hpp"
#include "engine/project/plan_steps.hpp"
#include "engine/project/project_record.hpp"
#include "engine/system/crash_point.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace engine {

using compose::dependency_condition;
using compose::error;
using compose::error_kind;

step_performer::step_performer(engine_parts parts, container_manager& containers, compose::project project,
    std::optional<std::chrono::nanoseconds> grace, std::function<bool()> superseded,
    std::shared_ptr<update_report> report, wait_limit until)
    : parts_(parts), containers_(containers), project_(std::move(project)), hashes_(hashes_of(project_)),
      grace_(grace), superseded_(std::move(superseded)), until_(until),
      updates_(parts_, containers_, project_.name, superseded_, std::move(report)),
      preparer_(parts_, containers_, project_.name, superseded_) {}

void step_performer::expect(const plan& steps) {
    for (const step& each : steps) {
        if (each.kind != step_kind::remove_container)
            continue;
        preparer_.leaves(each.container);
        if (!each.replaced)
            surplus_.insert(each.container);
    }
}

void step_performer::announce(
    std::string kind, std::string name, std::string service, std::string status, std::string detail) {
    event what;
    what.project = project_.name;
    what.kind = std::move(kind);
    what.name = std::move(name);
    what.service = std::move(service);
    what.status = std::move(status);
    what.detail = std::move(detail);
    parts_.events.add(std::move(what));
}

namespace {

/// Of whose failure to tell; empty for a condition, which tells itself.
std::string_view kind_of(step_kind step) noexcept {
    switch (step) {
    case step_kind::create_network:
    case step_kind::remove_network:
        return "network";
    case step_kind::create_volume:
    case step_kind::remove_volume:
        return "volume";
    case step_kind::pull_image:
        return "image";
    case step_kind::create_container:
    case step_kind::update_container:
    case step_kind::start_container:
    case step_kind::await_container:
    case step_kind::take_place:
    case step_kind::stop_container:
    case step_kind::remove_container:
        return "container";
    case step_kind::await_condition:
    case step_kind::watch_update:
        return {};
    }
    return {};
}

} // namespace

task<> step_performer::perform(step what) {
    // Beside the one whose place it takes it bears another name, and the other does afterwards.
    if (!what.replaces.empty() && what.kind != step_kind::take_place)
        what.name = name_beside(what.replaces, what.name);
    std::exception_ptr failure;
    std::string why;
    try {
        co_await carry_out(what);
    } catch (const error& thrown) {
        failure = std::current_exception();
        why = thrown.what();
    }
    if (!failure)
        co_return;
    if (what.kind != step_kind::await_container)
        why = "could not be brought up: " + why;
    if (what.update && what.kind != step_kind::watch_update)
        co_await updates_.note(what, why);
    std::rethrow_exception(failure);
}

task<> step_performer::carry_out(step what) {
    std::string failure;
    const std::string point = fmt::format("step {}", to_string(what.kind));
    try {
        crash_point(point, "before");
        switch (what.kind) {
        case step_kind::create_network:
            co_await create_network(what);
            break;
        case step_kind::create_volume:
            co_await create_volume(what);
            break;
        case step_kind::pull_image:
            co_await pull_image(what);
            break;
        case step_kind::create_container:
            co_await create_container(what);
            break;
        case step_kind::update_container:
            co_await update_container(what);
            break;
        case step_kind::start_container:
            co_await start_container(what);
            break;
        case step_kind::await_condition:
            co_await gate(what);
            break;
        case step_kind::await_container:
            announce("container", what.name, what.service, "Waiting");
            co_await updates_.await_container(what);
            announce("container", what.name, what.service, "Healthy");
            break;
        case step_kind::take_place:
            co_await take_place(what);
            break;
        case step_kind::watch_update:
            co_await updates_.watch(what);
            break;
        case step_kind::stop_container:
            co_await stop_container(what);
            break;
        case step_kind::remove_container:
            co_await remove_container(what);
            break;
        case step_kind::remove_network:
            co_await remove_network(what);
            break;
        case step_kind::remove_volume:
            co_await remove_volume(what);
            break;
        }
        crash_point(point, "after");
        co_return;
    } catch (const error& thrown) {
        failure = thrown.what();
        const bool given_way = what.kind == step_kind::pull_image && superseded_(); // no fault of the image's
        if (const std::string_view kind = kind_of(what.kind); !kind.empty() && !given_way)
            announce(std::string(kind), what.name, what.service, "Error", failure);
        throw;
    }
}

task<> step_performer::create_network(step what) {
    network_definition definition = network_of(project_, what.key);
    announce("network", what.name, {}, "Creating", what.reason);
    co_await parts_.networks.ensure(std::move(definition));
    announce("network", what.name, {}, "Created");
}

task<> step_performer::create_volume(step what) {
    announce("volume", what.name, {}, "Creating");
    volume_definition definition = volume_of(project_, what.key);
    co_await parts_.volumes.create(std::move(definition));
    announce("volume", what.name, {}, "Created");
}

namespace {

/// A pull that goes on when nobody waits for it any more: what it has fetched is kept.
struct pull_under_way {
    bool done = false;
    std::exception_ptr failure;
};

task<> pull_to_its_end(engine_parts parts, std::string project, step what, pull_options options,
    std::shared_ptr<pull_under_way> state, notifier& changed) {
    pull_progress_callback progress = [&parts, &project, &what](const pull_progress& at) {
        event seen;
        seen.project = project;
        seen.kind = "image";
        seen.name = what.name;
        seen.service = what.service;
        seen.status = "Downloading";
        seen.current = at.image_current;
        seen.total = at.image_total;
        parts.events.add(std::move(seen));
    };
    try {
        co_await parts.images.pull(what.name, std::move(options), std::move(progress));
    } catch (...) {
        state->failure = std::current_exception();
    }
    state->done = true;
    changed.notify_all();
}

} // namespace

/// A registry may take its time: whoever asks for something else meanwhile need not wait for it.
task<> step_performer::pull_image(step what) {
    announce("image", what.name, what.service, "Pulling");
    pull_options options;
    options.platform = project_.services.at(what.service).platform;
    const auto state = std::make_shared<pull_under_way>();
    spawn(parts_.on.io, "pull " + what.name,
        pull_to_its_end(parts_, project_.name, what, std::move(options), state, containers_.changed()));
    while (!state->done) {
        if (superseded_())
            throw error(error_kind::conflict,
                fmt::format(
                    "pull image \"{}\": another operation on project \"{}\" has taken over; the pull goes "
                    "on",
                    what.name, project_.name));
        co_await containers_.changed().wait();
    }
    if (state->failure)
        std::rethrow_exception(state->failure);
    announce("image", what.name, what.service, "Pulled");
}

task<> step_performer::create_container(step what) {
    announce("container", what.name, what.service, "Creating", what.reason);
    // Repeated after a crash or a superseded operation it may be there already.
    const container_view* there = containers_.find_by_name(what.name);
    if (there == nullptr || there->record.project != project_.name || there->record.service != what.service ||
        there->record.number != what.number) {
        container_request request{.project = project_,
            .service = what.service,
            .number = what.number,
            .hash = hashes_.at(what.service),
            .one_off = std::nullopt,
            .image = what.image,
            .replaces = what.replaces};
        co_await containers_.create(std::move(request));
    }
    announce("container", what.name, what.service, "Created");
}

task<> step_performer::update_container(step what) {
    co_await containers_.change_limits(what.container, project_.services.at(what.service).limit);
    announce("container", what.name, what.service, "Updated", what.reason);
}

task<> step_performer::start_container(step what) {
    std::string id = what.container;
    if (id.empty()) {
        const container_view* made = containers_.find_by_name(what.name);
        if (made == nullptr)
            throw error(
                error_kind::not_found, fmt::format("start container \"{}\": it was removed", what.name));
        id = made->record.id;
    }
    co_await prepare(what, id);
    if (!containers_.find(id)->record.comes_again) // else it is being restarted, which was told
        announce("container", what.name, what.service, what.again ? "Restarting" : "Starting");
    co_await containers_.start(id, what.carry_on);
    if (what.carry_on)
        co_await await_run(id);
    co_await containers_.await_hooks(id, superseded_); // one that fails leaves the container running
    announce("container", what.name, what.service, "Started");
}

/// Where nobody is there who could try again, it is tried until it is done.
task<> step_performer::prepare(step what, std::string id) {
    constexpr std::chrono::milliseconds longest = std::chrono::minutes(1);
    for (std::chrono::milliseconds pause(100);; pause = std::min(2 * pause, longest)) {
        std::string why;
        try {
            co_await preparer_.prepare(id);
            co_return;
        } catch (const error& failure) {
            if (!what.carry_on || failure.kind() == error_kind::conflict)
                throw;
            why = failure.what();
        }
        announce("container", what.name, what.service, "Waiting", why);
        const auto until = std::chrono::steady_clock::now() + pause;
        for (auto now = until - pause; now < until && !superseded_(); now = std::chrono::steady_clock::now())
            co_await containers_.changed().wait_for(until - now);
    }
}

/// What depends on a container that cannot be started yet waits with it.
task<> step_performer::await_run(std::string id) {
    for (;;) {
        const container_view* of = containers_.find(id);
        if (of == nullptr || of->state == run_state::exited || superseded_())
            throw error(error_kind::conflict,
                fmt::format("start container \"{}\": somebody else has decided about it meanwhile",
                    of == nullptr ? id.substr(0, 12) : of->record.name));
        if (of->run)
            co_return;
        co_await containers_.changed().wait();
    }
}

task<> step_performer::stop_container(step what) {
    if (containers_.find(what.container) == nullptr)
        co_return;
    announce("container", what.name, what.service, what.again ? "Restarting" : "Stopping");
    if (what.drain)
        co_await containers_.drain(
            what.container, grace_.value_or(grace_of(containers_.find(what.container)->record)), superseded_);
    if (what.again)
        co_await containers_.end_to_restart(what.container, grace_); // it is "Started" that ends this
    else
        co_await containers_.stop(what.container, grace_);
    if (!what.again)
        announce("container", what.name, what.service, "Stopped");
}

/// The new one is found as the one that comes to take that place.
task<> step_performer::take_place(step what) {
    for (const container_view* each : containers_.of_project(project_.name))
        if (each->record.place == container_place::coming && each->record.service == what.service &&
            each->record.number == what.number) {
            const std::string id = each->record.id;
            co_await containers_.take_place(id);
            break;
        }
    announce("container", what.name, what.service, "Recreated");
}

task<> step_performer::remove_container(step what) {
    if (containers_.find(what.container) == nullptr)
        co_return;
    announce("container", what.name, what.service, "Removing");
    if (!containers_.find(what.container)->record.service_definition().pre_start.empty()) {
        std::function<bool(const container_record&)> its =
            [id = what.container](const container_record& prepared) { return prepared.id == id; };
        co_await end_preparations(containers_, project_.name, std::move(its));
    }
    if (containers_.find(what.container) == nullptr)
        co_return;
    if (what.replaced)
        co_await containers_.keep_log(what.container);
    co_await containers_.remove(what.container);
    announce("container", what.name, what.service, "Removed");
}

task<> step_performer::remove_network(step what) {
    announce("network", what.name, {}, "Removing");
    try {
        co_await parts_.networks.remove(what.name);
    } catch (const error& failure) {
        // Another stack uses it: that is no fault of this one, and it is theirs now.
        if (failure.kind() != error_kind::conflict)
            throw;
        announce("network", what.name, {}, "Resource is still in use", failure.what());
        co_return;
    }
    announce("network", what.name, {}, "Removed");
}

task<> step_performer::remove_volume(step what) {
    announce("volume", what.name, {}, "Removing");
    if (containers_.volumes_in_use().contains(what.name)) {
        announce("volume", what.name, {}, "Resource is still in use");
        co_return;
    }
    co_await parts_.volumes.remove(what.name);
    announce("volume", what.name, {}, "Removed");
}

task<> step_performer::gate(step what) {
    std::string failure;
    try {
        co_await await_condition(what.service, what.condition, what.carry_on && what.required);
        co_return;
    } catch (const error& thrown) {
        if (what.required || thrown.kind() == error_kind::conflict)
            throw;
        failure = thrown.what();
    }
    announce("project", project_.name, what.service, "Warning",
        fmt::format("optional dependency \"{}\" is not met: {}", what.service, failure));
}

namespace {

/// A container that is waited for.
struct awaited {
    unsigned restarts_before = 0;
    std::optional<std::string> said;
};

} // namespace

/// `patient`: nobody is there who could try again, so what has failed may still come about.
task<> step_performer::await_condition(std::string service, dependency_condition condition, bool patient) {
    std::map<std::string, awaited> all; // by id
    for (;;) {
        if (superseded_())
            throw error(error_kind::conflict,
                fmt::format("wait for service \"{}\": another operation on project \"{}\" has taken over",
                    service, project_.name));
        std::string waiting;
        for (const container_view* each : containers_.of_project(project_.name)) {
            if (each->record.service != service || !each->record.is_own() ||
                surplus_.contains(each->record.id))
                continue;
            const observed_container seen = observe(*each);
            const unsigned count = each->record.history.count;
            const awaited fresh{.restarts_before = count, .said = {}};
            awaited& wait = all.try_emplace(seen.id, fresh).first->second;
            wait.restarts_before = std::min(wait.restarts_before, count); // they may begin anew
            const unsigned restarts = count - wait.restarts_before;
            const verdict now = judge(seen, condition, restarts);
            if (now == verdict::never && !patient) {
                const std::string reason = reason_of(seen, condition);
                announce("container", seen.name, service, "Error", reason);
                const std::string why = co_await with_last_lines(parts_.on, containers_, seen.id, reason);
                throw error(error_kind::unavailable, why);
            }
            if (now == verdict::yes) {
                if (wait.said)
                    announce("container", seen.name, service, std::string(fulfilled(condition)));
                wait.said.reset();
                continue;
            }
            waiting = seen.name;
            const std::string trouble = trouble_of(seen, condition, now, restarts);
            if (wait.said != trouble)
                announce("container", seen.name, service, "Waiting", trouble);
            wait.said = trouble;
        }
        if (waiting.empty())
            co_return;
        co_await wait_for_change(containers_, until_, waiting);
    }
}

} // namespace engine
