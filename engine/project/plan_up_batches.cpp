#include "engine/project/up_planner.hpp"

#include "engine/project/plan_update.hpp"

#include <algorithm>

namespace engine {

/// What an `up` that was cut short has left beside the containers that there are: one that has left its place
/// goes, and so does one that was to come but for what is not wanted any more.
void up_planner::beside() {
    for (const observed_container& each : now_.containers) {
        if (each.place == container_place::own || is_removed_orphan(each))
            continue;
        const auto old = std::find_if(now_.containers.begin(), now_.containers.end(),
            [&](const observed_container& other) { return other.id == each.replaces; });
        if (each.place == container_place::coming && old != now_.containers.end() &&
            coming_for(*old) == &each)
            continue;
        std::vector<std::size_t> stopped;
        if (each.place == container_place::leaving && is_up(each.state)) // somebody may be connected to it
            stopped = {steps_.add({.kind = step_kind::stop_container,
                .name = each.name,
                .service = each.service,
                .container = each.id,
                .reason = "left over",
                .drain = true})};
        if (stopped.empty())
            steps_.end(each, true, "left over", {});
        else
            steps_.add({.kind = step_kind::remove_container,
                .name = each.name,
                .service = each.service,
                .container = each.id,
                .reason = "left over",
                .after = stopped});
    }
}

const observed_container* up_planner::coming_for(const observed_container& old) const {
    const auto service = wanted_.project.services.find(old.service);
    if (service == wanted_.project.services.end() || !wanted_.services.contains(old.service) ||
        !is_updated(service->second, old))
        return nullptr;
    const auto image = now_.images.find(service->second.image);
    for (const observed_container& each : now_.containers)
        if (each.place == container_place::coming && each.replaces == old.id &&
            each.hash == wanted_.hashes.at(old.service) && image != now_.images.end() &&
            each.image == image->second)
            return &each;
    return nullptr;
}

const compose::update_policy* up_planner::policy_of(const compose::service& service) const {
    static const compose::update_policy usual;
    if (!wanted_.start || one_shots_.contains(service.name))
        return nullptr;
    if (!wanted_.rolling_back)
        return service.update ? &*service.update : nullptr;
    return service.rollback ? &*service.rollback : service.update ? &usual : nullptr;
}

/// Whether its change goes by the service's update policy. After a boot nothing runs, and then nothing can be
/// lost by replacing all at once.
bool up_planner::is_updated(const compose::service& service, const observed_container& container) const {
    return policy_of(service) != nullptr && container.number <= service.scale &&
           !ended_.contains(container.id) && !stopped_.contains(container.id) &&
           !(wanted_.carry_on && !is_up(container.state)) && !change_of(service, container).empty() &&
           !is_in_the_way(service, container);
}

/// Another service is about to get what it has.
bool up_planner::is_in_the_way(const compose::service& service, const observed_container& container) const {
    const holdings mine(container.name, container.definition);
    return std::any_of(wanted_.services.begin(), wanted_.services.end(), [&](const std::string& name) {
        const compose::service& other = wanted_.project.services.at(name);
        return name != service.name && begins_anew(other) &&
               holdings(container_name_of(wanted_.project, other, 1), &other).clash_with(mine);
    });
}

std::string up_planner::pinned(const std::string& reference) const {
    const auto found = wanted_.pinned.find(reference);
    return found == wanted_.pinned.end() ? std::string() : found->second;
}

void up_planner::updates(const compose::service& service, const std::vector<std::size_t>& gates) {
    service_update update{.project = wanted_.project,
        .service = service,
        .policy = *policy_of(service),
        .containers = {},
        .image = pinned(service.image),
        .needs = needs_of(service),
        .gates = gates,
        .before = dependents_stopped(service.name)};
    update.start_first = update.policy.start_first;
    for (const observed_container* container : containers_.of(service.name)) {
        if (!is_updated(service, *container))
            continue;
        update.containers.push_back(
            {.old = container, .reason = change_of(service, *container), .coming = coming_for(*container)});
        if (container->definition == nullptr ||
            !start_first_obstacle(*container->definition, service).empty())
            update.start_first = false;
    }
    if (!update.containers.empty())
        start_steps_[service.name].push_back(add_update(steps_, update));
}

} // namespace engine
