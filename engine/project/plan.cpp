#include "engine/project/plan.hpp"

#include "engine/project/plan_steps.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace engine {

std::string_view to_string(run_state state) noexcept {
    switch (state) {
    case run_state::created:
        return "created";
    case run_state::starting:
        return "starting";
    case run_state::running:
        return "running";
    case run_state::paused:
        return "paused";
    case run_state::restarting:
        return "restarting";
    case run_state::stopping:
        return "stopping";
    case run_state::exited:
        return "exited";
    }
    return "unknown";
}

std::string_view to_string(step_kind kind) noexcept {
    switch (kind) {
    case step_kind::create_network:
        return "create network";
    case step_kind::create_volume:
        return "create volume";
    case step_kind::pull_image:
        return "pull image";
    case step_kind::create_container:
        return "create container";
    case step_kind::update_container:
        return "update container";
    case step_kind::start_container:
        return "start container";
    case step_kind::await_condition:
        return "wait for";
    case step_kind::await_container:
        return "wait for container";
    case step_kind::take_place:
        return "switch container";
    case step_kind::watch_update:
        return "wait for update of";
    case step_kind::stop_container:
        return "stop container";
    case step_kind::remove_container:
        return "remove container";
    case step_kind::remove_network:
        return "remove network";
    case step_kind::remove_volume:
        return "remove volume";
    }
    return "unknown";
}

compose::project whole_of(compose::project project) {
    project.services.merge(project.disabled_services);
    project.disabled_services.clear();
    return project;
}

std::string container_name_of(
    const compose::project& project, const compose::service& service, unsigned number) {
    if (!service.container_name.empty())
        return service.container_name;
    return fmt::format("{}-{}-{}", project.name, service.name, number);
}

std::string name_beside(const std::string& older, const std::string& name) {
    return fmt::format("{}_{}", older.substr(0, 12), name);
}

namespace {

void visit(const compose::project& project, const std::string& name, std::set<std::string>& seen,
    std::vector<std::string>& order) {
    const auto service = project.services.find(name);
    if (service == project.services.end() || !seen.insert(name).second)
        return;
    for (const auto& [dependency, how] : service->second.depends_on)
        visit(project, dependency, seen, order);
    order.push_back(name);
}

} // namespace

std::vector<std::string> in_dependency_order(const compose::project& project) {
    std::set<std::string> seen;
    std::vector<std::string> order;
    for (const auto& [name, service] : project.services)
        visit(project, name, seen, order);
    return order;
}

std::set<std::string> restarted_with(const compose::project& project, const std::set<std::string>& services) {
    std::set<std::string> found;
    for (const std::string& name : in_dependency_order(project)) {
        const auto& dependencies = project.services.at(name).depends_on;
        if (!services.contains(name) &&
            std::any_of(dependencies.begin(), dependencies.end(), [&](const auto& entry) {
                return entry.second.restart &&
                       (services.contains(entry.first) || found.contains(entry.first));
            }))
            found.insert(name);
    }
    return found;
}

std::set<std::string> with_dependencies(
    const compose::project& project, const std::set<std::string>& services) {
    std::set<std::string> seen;
    std::vector<std::string> order;
    for (const std::string& name : services)
        visit(project, name, seen, order);
    return {order.begin(), order.end()};
}

bool is_up(run_state state) noexcept {
    return state == run_state::starting || state == run_state::running || state == run_state::paused ||
           state == run_state::restarting;
}

std::set<std::string> one_shots_of(const compose::project& project) {
    std::set<std::string> names;
    for (const auto& [other, service] : project.services)
        for (const auto& [name, how] : service.depends_on)
            if (how.condition == compose::dependency_condition::completed_successfully)
                names.insert(name);
    return names;
}

containers_by_service::containers_by_service(const observed_project& now, bool beside) {
    for (const observed_container& container : now.containers)
        if (beside || container.place == container_place::own)
            found_[container.service].push_back(&container);
    for (auto& [service, containers] : found_)
        std::sort(containers.begin(), containers.end(),
            [](const auto* a, const auto* b) { return a->number < b->number; });
}

const std::vector<const observed_container*>& containers_by_service::of(const std::string& service) const {
    const auto found = found_.find(service);
    return found == found_.end() ? none_ : found->second;
}

std::size_t plan_steps::add(step next) {
    steps_.push_back(std::move(next));
    return steps_.size() - 1;
}

std::optional<std::size_t> plan_steps::end(const observed_container& container, bool remove,
    const std::string& reason, const std::vector<std::size_t>& after) {
    std::optional<std::size_t> last;
    if (is_up(container.state) || container.state == run_state::stopping || container.due)
        last = add({.kind = step_kind::stop_container,
            .name = container.name,
            .service = container.service,
            .container = container.id,
            .reason = reason,
            .after = after});
    if (remove)
        last = add({.kind = step_kind::remove_container,
            .name = container.name,
            .service = container.service,
            .container = container.id,
            .reason = reason,
            .after = last ? std::vector<std::size_t>{*last} : after});
    return last;
}

std::set<std::string> in_namespaces_of(
    const compose::project& project, const std::set<std::string>& services) {
    std::set<std::string> modes; // that name one of these
    const auto add = [&](const std::string& name) {
        const auto found = project.services.find(name);
        if (found == project.services.end())
            return;
        modes.insert("service:" + name);
        for (unsigned number = 1; number <= found->second.scale; ++number)
            modes.insert("container:" + container_name_of(project, found->second, number));
    };
    for (const std::string& name : services)
        add(name);
    std::set<std::string> found;
    for (const std::string& name : in_dependency_order(project))
        if (const compose::service& service = project.services.at(name);
            !services.contains(name) && (modes.contains(service.network_mode) ||
                                            modes.contains(service.ipc) || modes.contains(service.pid))) {
            found.insert(name);
            add(name);
        }
    return found;
}

} // namespace engine
