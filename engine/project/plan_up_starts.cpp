#include "engine/project/up_planner.hpp"

#include <algorithm>

namespace engine {

using compose::dependency_condition;

/// Whether containers of it are made or started.
bool up_planner::begins_anew(const compose::service& service) const {
    unsigned kept = 0;
    for (const observed_container* container : containers_.of(service.name)) {
        if (container->number > service.scale)
            continue;
        const bool done = has_succeeded(*container);
        if (ended_.contains(container->id) || !change_of(service, *container).empty() ||
            (!is_up(container->state) && !done))
            return true;
        ++kept;
    }
    return kept < service.scale;
}

/// What follows the restarts of others ends before they do, in reverse order, and is started after them.
void up_planner::stop_dependents() {
    std::set<std::string> anew;
    for (const std::string& name : wanted_.services)
        if (begins_anew(wanted_.project.services.at(name)))
            anew.insert(name);
    const std::set<std::string> followers = restarted_with(wanted_.project, anew);
    for (auto each = order_.rbegin(); each != order_.rend(); ++each) {
        const std::string& name = *each;
        if (!followers.contains(name) || !wanted_.services.contains(name))
            continue;
        for (const observed_container* container : containers_.of(name))
            if (is_up(container->state) && container->number <= wanted_.project.services.at(name).scale)
                stopped_[container->id] =
                    *steps_.end(*container, false, "what it depends on is started", dependents_stopped(name));
    }
}

/// The steps that end those that follow the restarts of a service.
std::vector<std::size_t> up_planner::dependents_stopped(const std::string& service) const {
    std::vector<std::size_t> steps;
    if (stopped_.empty())
        return steps;
    for (const observed_container& container : now_.containers) {
        const auto stopped = stopped_.find(container.id);
        if (stopped == stopped_.end())
            continue;
        const auto& dependencies = wanted_.project.services.at(container.service).depends_on;
        const auto how = dependencies.find(service);
        if (how != dependencies.end() && how->second.restart)
            steps.push_back(stopped->second);
    }
    return steps;
}

std::optional<std::size_t> up_planner::condition(const std::string& name, const compose::dependency& how) {
    const auto known = condition_steps_.find({name, how.condition, how.required});
    if (known != condition_steps_.end())
        return known->second;
    const auto started = start_steps_.find(name);
    const bool starts_now = started != start_steps_.end();
    // Nothing to wait for: it runs already and that is all that is asked.
    if (how.condition == dependency_condition::started && !starts_now)
        return std::nullopt;
    step next{.kind = step_kind::await_condition,
        .name = name,
        .service = name,
        .condition = how.condition,
        .carry_on = wanted_.carry_on,
        .required = how.required};
    if (starts_now)
        next.after = started->second;
    const std::size_t index = steps_.add(std::move(next));
    condition_steps_[{name, how.condition, how.required}] = index;
    return index;
}

std::vector<std::size_t> up_planner::conditions(const compose::service& service) {
    std::vector<std::size_t> all;
    for (const auto& [name, how] : service.depends_on) {
        // One that is not brought up now (--no-deps, another profile) is not waited for either.
        if (!wanted_.services.contains(name))
            continue;
        if (const auto index = condition(name, how))
            all.push_back(*index);
    }
    return all;
}

void up_planner::starts(const compose::service& service) {
    const auto due = pending_.find(service.name);
    const auto& there = containers_.of(service.name);
    const bool updated = std::any_of(there.begin(), there.end(),
        [&](const observed_container* each) { return is_updated(service, *each); });
    if ((due == pending_.end() && !updated) || service.scheduled)
        return;
    const std::vector<std::size_t> gates = conditions(service);
    if (updated)
        updates(service, gates);
    if (due == pending_.end())
        return;
    for (const pending_start& each : due->second) {
        step next{.kind = step_kind::start_container,
            .name = each.name,
            .service = service.name,
            .container = each.id,
            .reason = each.reason,
            .carry_on = wanted_.carry_on,
            .after = gates};
        if (each.created)
            next.after.push_back(*each.created);
        if (!each.id.empty()) { // one that is made waits with that
            const std::vector<std::size_t> before = handed_over(each.name, service);
            next.after.insert(next.after.end(), before.begin(), before.end());
        }
        start_steps_[service.name].push_back(steps_.add(std::move(next)));
    }
}

} // namespace engine
