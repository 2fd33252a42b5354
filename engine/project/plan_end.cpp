#include "engine/project/plan.hpp"
#include "engine/project/plan_steps.hpp"

#include <algorithm>

namespace engine {

namespace {

/// Ends containers so that a service's go only after those of all its dependents.
void end_in_reverse(plan_steps& steps, const compose::project& project, const observed_project& now,
    const std::set<std::string>& services, bool remove, const std::string& reason,
    const std::vector<std::size_t>& first = {}) {
    std::map<std::string, std::vector<std::size_t>> ended; // last steps by service
    const containers_by_service containers(now, true);
    std::vector<std::string> order = in_dependency_order(project);
    std::reverse(order.begin(), order.end());
    for (const std::string& name : order) {
        if (!services.contains(name))
            continue;
        std::vector<std::size_t> after = first;
        for (const auto& [dependent, service] : project.services)
            if (service.depends_on.contains(name))
                if (const auto found = ended.find(dependent); found != ended.end())
                    after.insert(after.end(), found->second.begin(), found->second.end());
        for (const observed_container* container : containers.of(name))
            if (const auto last =
                    steps.end(*container, remove || container->place != container_place::own, reason, after))
                ended[name].push_back(*last);
        // One without containers passes on what it waits for, so that a chain does not break at it.
        if (!ended.contains(name))
            ended[name] = after;
    }
}

std::vector<std::size_t> all_of(std::size_t count) {
    std::vector<std::size_t> indexes(count);
    for (std::size_t index = 0; index < count; ++index)
        indexes[index] = index;
    return indexes;
}

} // namespace

namespace {

/// What the file says is not this project's to remove, even if an earlier file had it made.
template <typename Map>
std::set<std::string> external_names(const Map& declared) {
    std::set<std::string> names;
    for (const auto& [key, each] : declared)
        if (each.external)
            names.insert(each.name);
    return names;
}

/// Volumes of the project that a `down` is not to touch: the file says that they are not its own, or has
/// nothing of them.
bool is_kept(const down_request& wanted, const volume_definition& volume) {
    if (external_names(wanted.project.volumes).contains(volume.name))
        return true;
    return wanted.declared && !volume.key.empty() && !wanted.declared->contains(volume.name);
}

} // namespace

std::set<std::string> declared_volumes(const compose::project& project) {
    std::set<std::string> names;
    for (const auto& [key, volume] : project.volumes)
        if (!volume.external)
            names.insert(volume.name);
    return names;
}

std::vector<std::string> volumes_kept(const down_request& wanted, const observed_project& now) {
    const std::set<std::string> external = external_names(wanted.project.volumes);
    std::vector<std::string> names;
    for (const auto& [name, volume] : now.volumes)
        if (wanted.volumes && volume.project == wanted.project.name && is_kept(wanted, volume) &&
            !external.contains(name))
            names.push_back(name);
    return names;
}

plan plan_down(const down_request& wanted, const observed_project& now) {
    const compose::project& project = wanted.project;
    plan_steps steps;
    std::vector<std::size_t> one_offs;
    for (const observed_container& each : wanted.one_offs)
        one_offs.push_back(*steps.end(each, true, "down", {}));
    std::set<std::string> known;
    for (const auto& [name, service] : project.services)
        known.insert(name);
    if (wanted.remove_orphans)
        for (const observed_container& container : now.containers)
            if (!known.contains(container.service))
                steps.end(container, true, "down --remove-orphans", {});
    end_in_reverse(steps, project, now, known, true, "down", one_offs);
    plan result = steps.take();
    const std::vector<std::size_t> containers_gone = all_of(result.size());
    // Of what is on the host, whatever the last file still declares.
    const std::set<std::string> external = external_names(project.networks);
    for (const auto& [name, network] : now.networks)
        if (network.project == project.name && !external.contains(name))
            result.push_back({.kind = step_kind::remove_network,
                .name = name,
                .key = network.key,
                .reason = "down",
                .after = containers_gone});
    for (const auto& [name, volume] : now.volumes)
        if (wanted.volumes && volume.project == project.name && !is_kept(wanted, volume))
            result.push_back({.kind = step_kind::remove_volume,
                .name = name,
                .key = volume.key,
                .reason = "down --volumes",
                .after = containers_gone});
    return result;
}

plan plan_stop(const compose::project& project, const observed_project& now,
    const std::set<std::string>& services, bool remove) {
    plan_steps steps;
    end_in_reverse(steps, project, now, services, remove, "asked for");
    return steps.take();
}

bool is_anonymous(const volume_definition& volume) {
    return volume.key.empty() && volume.labels.contains("com.docker.volume.anonymous");
}

void remove_anonymous_volumes(plan& steps, const observed_project& now) {
    std::map<std::string, std::size_t> removed; // step by container
    for (std::size_t index = 0; index < steps.size(); ++index)
        if (steps[index].kind == step_kind::remove_container)
            removed[steps[index].container] = index;
    std::map<std::string, std::vector<std::size_t>> gone; // by volume: its users
    std::set<std::string> kept;
    for (const observed_container& container : now.containers)
        for (const std::string& volume : container.volumes) {
            const auto there = now.volumes.find(volume);
            if (there == now.volumes.end() || !is_anonymous(there->second))
                continue;
            if (const auto step = removed.find(container.id); step != removed.end())
                gone[volume].push_back(step->second);
            else
                kept.insert(volume);
        }
    for (auto& [volume, users] : gone)
        if (!kept.contains(volume))
            steps.push_back({.kind = step_kind::remove_volume,
                .name = volume,
                .reason = "asked for",
                .after = std::move(users)});
}

namespace {

/// Adds the steps that start `due` of a service once what it depends on is as it is to be. `started`: the
/// start steps of all services, to which these come.
void start_when_ready(plan& result, const compose::service& service, const containers_by_service& containers,
    const std::vector<const observed_container*>& due, const std::string& reason, bool carry_on,
    std::map<std::string, std::vector<std::size_t>>& started) {
    std::vector<std::size_t> gates;
    for (const auto& [dependency, how] : service.depends_on) {
        const auto earlier = started.find(dependency);
        const auto& there = containers.of(dependency);
        const bool up = std::any_of(
            there.begin(), there.end(), [](const observed_container* each) { return is_up(each->state); });
        // What is not to run is not waited for: nobody would ever start it.
        if (earlier == started.end() && (!up || how.condition == compose::dependency_condition::started))
            continue;
        result.push_back({.kind = step_kind::await_condition,
            .name = dependency,
            .service = dependency,
            .condition = how.condition,
            .carry_on = carry_on,
            .required = how.required,
            .after = earlier == started.end() ? std::vector<std::size_t>() : earlier->second});
        gates.push_back(result.size() - 1);
    }
    for (const observed_container* container : due) {
        result.push_back({.kind = step_kind::start_container,
            .name = container->name,
            .service = service.name,
            .container = container->id,
            .reason = reason,
            .carry_on = carry_on,
            .after = gates});
        started[service.name].push_back(result.size() - 1);
    }
}

} // namespace

plan plan_start(const compose::project& project, const observed_project& now,
    const std::set<std::string>& services, const std::optional<std::set<std::string>>& only) {
    plan result;
    std::map<std::string, std::vector<std::size_t>> started;
    const containers_by_service containers(now);
    for (const std::string& name : in_dependency_order(project)) {
        std::vector<const observed_container*> due;
        for (const observed_container* container : containers.of(name))
            if ((!is_up(container->state) || container->hooks_due) &&
                (!only || only->contains(container->id)))
                due.push_back(container);
        if (!services.contains(name) || due.empty() || (!only && project.services.at(name).scheduled))
            continue;
        start_when_ready(result, project.services.at(name), containers, due,
            only ? "it is to run" : "asked for", only.has_value(), started);
    }
    if (only)
        for (const observed_container& container : now.containers)
            if (only->contains(container.id) && !project.services.contains(container.service))
                result.push_back({.kind = step_kind::start_container,
                    .name = container.name,
                    .service = container.service,
                    .container = container.id,
                    .reason = "it is to run",
                    .carry_on = true});
    return result;
}

plan plan_run(const compose::project& project, const observed_project& now, const std::string& service) {
    plan result;
    std::map<std::string, std::vector<std::size_t>> started;
    const containers_by_service containers(now);
    start_when_ready(result, project.services.at(service), containers, containers.of(service), "it is due",
        false, started);
    return result;
}

} // namespace engine
