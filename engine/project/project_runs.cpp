#include "engine/project/project_manager_state.hpp"

#include "compose/encode/encode.hpp"
#include "compose/model/error.hpp"
#include "engine/project/plan_steps.hpp"
#include "engine/project/step_performer.hpp"
#include "engine/store/store.hpp"
#include "engine/volume/secret_store.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

// project_manager: containers for one run, and pausing.
namespace engine {

using compose::error;
using compose::error_kind;

compose::service one_off_of(compose::service from, bool ports, bool aliases) {
    from.restart = {};
    from.scale = 1;
    from.container_name.clear();
    if (!ports)
        from.ports.clear();
    if (aliases)
        return from;
    from.mac_address.clear();
    for (auto& [network, how] : from.networks) {
        how.aliases.clear();
        how.ipv4_address.clear();
        how.ipv6_address.clear();
        how.mac_address.clear();
    }
    return from;
}

namespace {

/// What the one of `alone` depends on, in a project that has it too.
std::set<std::string> dependencies_of(const compose::project& wanted, const compose::service& once) {
    std::set<std::string> direct;
    for (const auto& [name, how] : once.depends_on)
        direct.insert(name);
    return with_dependencies(wanted, direct);
}

} // namespace

task<std::shared_ptr<operation>> project_manager::run(
    compose::project wanted, compose::project alone, run_options how) {
    const auto self = implementation_;
    const compose::service once = alone.services.begin()->second;
    self->parts.secrets.take_contents(alone, {once.name}, true);
    up_options up{.services = how.dependencies ? dependencies_of(wanted, once) : std::set<std::string>(),
        .dependencies = true,
        .remove_orphans = how.remove_orphans,
        .user = how.user};
    const project_record* known = self->projects.find(wanted.name);
    bool new_definition = false;
    if (!up.services.empty() || known == nullptr || known->removing) {
        if (!up.services.empty())
            self->take_contents(wanted, up, true);
        new_definition = self->projects.save_revision(wanted, up);
        if (up.services.empty()) // there is nothing to carry on
            self->projects.forget_up(wanted.name);
    }
    how.dependencies = !up.services.empty();
    const auto made = std::make_shared<std::string>();
    auto under_way = self->queue.begin(wanted.name, operation_kind::up, new_definition,
        [self, wanted, alone, how, up, made](std::function<bool()> superseded) {
            return self->run_once(wanted, alone, how, made, std::move(superseded));
        });
    under_way->container = made;
    co_await self->parts.records.durable();
    co_return under_way;
}

task<> project_manager::implementation::run_once(compose::project wanted, compose::project alone,
    run_options how, std::shared_ptr<std::string> made, std::function<bool()> superseded) {
    if (how.dependencies) {
        up_options up{.services = dependencies_of(wanted, alone.services.begin()->second),
            .dependencies = true,
            .remove_orphans = how.remove_orphans,
            .user = how.user};
        co_await bring_up_and_forget(std::move(wanted), std::move(up), superseded);
    }
    co_await make_one_off(std::move(alone), std::move(how), std::move(made), std::move(superseded));
}

task<> project_manager::implementation::make_one_off(compose::project alone, run_options how,
    std::shared_ptr<std::string> made, std::function<bool()> superseded) {
    const compose::service once = alone.services.begin()->second;
    const auto hashes = hashes_of(alone);
    const up_request needs{.project = alone,
        .hashes = hashes,
        .services = {once.name},
        .force_recreate = {},
        .containers = false};
    plan steps = plan_up(needs, observe_project(alone.name, alone));
    if (how.dependencies)
        for (const auto& [name, condition] : once.depends_on)
            steps.push_back({.kind = step_kind::await_condition,
                .name = name,
                .service = name,
                .condition = condition.condition,
                .required = condition.required});
    co_await run(std::move(steps), alone, std::nullopt, superseded);
    container_request request{.project = alone,
        .service = once.name,
        .number = 0,
        .hash = hashes.at(once.name),
        .one_off = how.container};
    *made = co_await containers.create(std::move(request));
    co_await parts.records.durable();
    event what = event_about(containers.find(*made)->record);
    what.status = "Created";
    parts.events.add(std::move(what));
}

task<std::shared_ptr<operation>> project_manager::pause(
    std::string project, std::set<std::string> services, bool frozen) {
    const auto self = implementation_;
    services = check_services(self->projects.at(project).definition, std::move(services), among::all);
    std::vector<std::string> ids;
    for (const container_view* each : self->containers.of_project(project))
        if (each->run && !each->record.one_off && services.contains(each->record.service))
            ids.push_back(each->record.id);
    std::function<task<>()> all = [self, ids, frozen]() -> task<> {
        std::exception_ptr failure;
        for (const std::string& id : ids) {
            try {
                if (self->containers.find(id) != nullptr)
                    co_await self->containers.pause(id, frozen);
            } catch (const error&) {
                failure = std::current_exception();
            }
        }
        if (failure)
            std::rethrow_exception(failure);
    };
    // A condition that somebody waits for may depend on it.
    co_return self->queue.begin_beside(project, std::move(all));
}

} // namespace engine
