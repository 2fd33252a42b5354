#include "engine/project/plan_steps.hpp"
#include "engine/project/project_manager_state.hpp"

#include "engine/system/notifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <utility>

namespace engine {

std::set<std::string> project_manager::implementation::followers_of(
    const compose::project& definition, const std::set<std::string>& services) const {
    std::set<std::string> followers = restarted_with(definition, services);
    std::set<std::string> up;
    for (const container_view* each : containers.of_project(definition.name))
        if (is_up(each->state) && each->record.is_own())
            up.insert(each->record.service);
    std::erase_if(followers, [&](const std::string& name) { return !up.contains(name); });
    return followers;
}

/// Those of followers_of() that had begun before the last run of `led` did.
std::set<std::string> project_manager::implementation::left_behind_by(
    const container_view& led, const compose::project& definition) const {
    std::set<std::string> behind;
    for (const container_view* each : containers.of_project(definition.name))
        if (is_up(each->state) && each->record.is_own() && each->state != run_state::restarting &&
            (each->order < led.order || each->order == 0))
            behind.insert(each->record.service);
    std::set<std::string> followers = followers_of(definition, {led.record.service});
    std::erase_if(followers, [&](const std::string& name) { return !behind.contains(name); });
    return followers;
}

/// A container has come back by itself: what depends on it with `restart: true` begins anew as well.
void project_manager::implementation::follow_restart(const container_record& restarted) {
    if (restarted.is_own())
        spawn(parts.on.io, "follow " + restarted.name, see_followed(shared_from_this(), restarted.id));
}

/// Its record says that this is due until it is done: it is lost neither with the daemon nor by whoever takes
/// over.
task<> project_manager::implementation::see_followed(std::shared_ptr<implementation> self, std::string id) {
    for (bool given_way = true; given_way && !self->containers.closed();) {
        const container_view* led = self->containers.find(id);
        const project_record* project = led == nullptr ? nullptr : self->projects.find(led->record.project);
        if (project == nullptr || project->removing || !led->run || !led->record.follow_due)
            co_return;
        const std::uint64_t generation = led->record.generation;
        const compose::project definition = whole_of(project->definition);
        const std::set<std::string> followers = self->left_behind_by(*led, definition);
        given_way = false;
        if (!followers.empty()) {
            spdlog::info("project {}: {} was restarted, so {} follow", definition.name, led->record.name,
                fmt::join(followers, ", "));
            const auto under_way = self->queue.begin_by_itself(definition.name, operation_kind::start,
                [self, definition, id](std::function<bool()> superseded) {
                    return self->follow(definition, id, std::move(superseded));
                });
            co_await under_way->wait();
            given_way = under_way->given_way();
        }
        if (!given_way && !self->containers.closed())
            self->containers.followed(id, generation);
    }
}

/// What a former daemon has not come to, or whom one has started that was to come back by itself.
void project_manager::implementation::follow_what_is_due(const std::string& project) {
    for (const container_view* each : containers.of_project(project))
        if (each->run && each->record.follow_due)
            follow_restart(each->record);
}

task<> project_manager::implementation::follow(
    compose::project definition, std::string id, std::function<bool()> superseded) {
    const container_view* led = containers.find(id);
    if (led == nullptr)
        co_return;
    const std::string service = led->record.service;
    const std::set<std::string> followers = left_behind_by(*led, definition);
    plan waits;
    for (const std::string& name : followers)
        if (const auto& dependencies = definition.services.at(name).depends_on;
            dependencies.contains(service))
            waits.push_back({.kind = step_kind::await_condition,
                .name = service,
                .service = service,
                .condition = dependencies.at(service).condition});
    std::exception_ptr failure;
    try {
        co_await run(std::move(waits), definition, std::nullopt, superseded);
        co_await restart_services(definition, followers, std::nullopt, superseded);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure)
        co_return;
    carry_on(definition.name); // what has been ended and not started again
    std::rethrow_exception(failure);
}

} // namespace engine
