#include "engine/project/project_manager_state.hpp"

#include "compose/model/error.hpp"
#include "engine/project/plan_steps.hpp"
#include "engine/project/up_waiter.hpp"

#include <utility>

// project_manager: starting what is there already, by hand, with what it depends on, and after a daemon's
// end.
namespace engine {

using compose::error;
using compose::error_kind;

/// `services`: known ones.
std::shared_ptr<operation> project_manager::implementation::begin_start(
    const std::string& project, std::set<std::string> services, wait_options wait) {
    return queue.begin(project, operation_kind::start, false,
        [self = shared_from_this(), project, services, wait](std::function<bool()> superseded) {
            return self->start_and_wait(project, services, wait, std::move(superseded));
        });
}

task<> project_manager::implementation::start_and_wait(std::string project, std::set<std::string> services,
    wait_options wait, std::function<bool()> superseded) {
    const compose::project definition = whole_of(projects.at(project).definition);
    wait_limit until;
    if (wait.limit)
        until = std::chrono::steady_clock::now() + *wait.limit;
    co_await start_services(definition, services, superseded, until);
    if (wait.wanted)
        co_await await_up(parts.on, containers, definition, services, until, superseded, teller());
}

/// What is on the network of one that is started is on that of its former run: it is begun anew as well.
task<> project_manager::implementation::start_services(compose::project definition,
    std::set<std::string> services, std::function<bool()> superseded, wait_limit until) {
    std::set<std::string> anew;
    std::set<std::string> up;
    for (const container_view* each : containers.of_project(definition.name))
        if (each->record.is_own())
            (is_up(each->state) ? up : anew).insert(each->record.service);
    std::erase_if(
        anew, [&](const std::string& name) { return !services.contains(name) || up.contains(name); });
    std::set<std::string> joined = in_namespaces_of(definition, anew);
    std::erase_if(joined, [&](const std::string& name) { return !up.contains(name); });
    if (!joined.empty()) {
        plan ends = plan_stop(definition, observe_project(definition.name, definition), joined, false);
        for (step& each : ends)
            each.again = !definition.services.at(each.service).scheduled;
        co_await finish(std::move(ends), definition, std::nullopt);
        services.merge(joined);
    }
    plan steps = plan_start(definition, observe_project(definition.name, definition), services);
    co_await run(std::move(steps), definition, std::nullopt, std::move(superseded),
        std::make_shared<update_report>(), until);
    announce_scheduled(definition, services);
}

/// Starts what a former daemon wanted to run and is not up yet.
task<> project_manager::implementation::start_due(std::string project, std::function<bool()> superseded) {
    std::set<std::string> ids;
    for (const container_view* each : containers.of_project(project))
        if (is_due(*each) || hooks_run(*each))
            ids.insert(each->record.id);
    const compose::project definition = whole_of(projects.at(project).definition);
    std::set<std::string> services;
    for (const auto& [name, service] : definition.services)
        services.insert(name);
    plan steps = plan_start(definition, observe_project(project, definition), services, ids);
    std::exception_ptr failure;
    try {
        co_await run(std::move(steps), definition, std::nullopt, superseded);
    } catch (...) {
        failure = std::current_exception();
    }
    // Whoever came first may have been about a part of it.
    if (superseded() && projects.find(project) != nullptr)
        carry_on(project);
    follow_what_is_due(project);
    if (failure)
        std::rethrow_exception(failure);
}

void project_manager::implementation::carry_on(const std::string& project) {
    queue.begin_by_itself(project, operation_kind::start,
        [self = shared_from_this(), project](
            std::function<bool()> superseded) { return self->start_due(project, std::move(superseded)); });
}

task<> project_manager::implementation::restart_services(compose::project definition,
    std::set<std::string> services, grace_period grace, std::function<bool()> superseded) {
    plan ends = plan_stop(definition, observe_project(definition.name, definition), services, false);
    for (step& each : ends)
        each.again = !definition.services.at(each.service).scheduled;
    co_await finish(std::move(ends), definition, grace);
    plan starts = plan_start(definition, observe_project(definition.name, definition), services);
    for (step& each : starts)
        each.again = true;
    co_await run(std::move(starts), definition, std::nullopt, std::move(superseded));
    announce_scheduled(definition, services);
}

/// It is for their clocks to start them, and nothing else is told of them.
void project_manager::implementation::announce_scheduled(
    const compose::project& definition, const std::set<std::string>& services) {
    for (const container_view* each : containers.of_project(definition.name))
        if (each->record.is_own() && services.contains(each->record.service) &&
            definition.services.at(each->record.service).scheduled)
            teller()(each->record, "Scheduled");
}

/// As a person asks for it, who is told what could not be started.
task<> project_manager::implementation::restart_for_person(compose::project definition,
    std::set<std::string> services, grace_period grace, std::function<bool()> superseded) {
    std::exception_ptr failure;
    try {
        co_await restart_services(definition, services, grace, superseded);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure)
        co_return;
    if (!superseded() && !containers.closed())
        for (const std::string& id : containers.due())
            if (const container_record& each = containers.find(id)->record;
                each.project == definition.name && services.contains(each.service))
                containers.give_up(id);
    std::rethrow_exception(failure);
}

} // namespace engine
