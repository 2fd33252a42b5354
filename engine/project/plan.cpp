#include "engine/project/plan.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace engine {

using compose::dependency_condition;
using compose::error;
using compose::error_kind;

std::string_view to_string(run_state state) noexcept {
    switch (state) {
    case run_state::created:
        return "created";
    case run_state::starting:
        return "starting";
    case run_state::running:
        return "running";
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
    case step_kind::start_container:
        return "start container";
    case step_kind::await_condition:
        return "wait for";
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

std::string container_name_of(
    const compose::project& project, const compose::service& service, unsigned number) {
    if (!service.container_name.empty())
        return service.container_name;
    return fmt::format("{}-{}-{}", project.name, service.name, number);
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

std::set<std::string> with_dependencies(
    const compose::project& project, const std::set<std::string>& services) {
    std::set<std::string> seen;
    std::vector<std::string> order;
    for (const std::string& name : services)
        visit(project, name, seen, order);
    return {order.begin(), order.end()};
}

namespace {

bool is_up(run_state state) noexcept {
    return state == run_state::starting || state == run_state::running || state == run_state::restarting;
}

bool needs_stop(run_state state) noexcept {
    return is_up(state) || state == run_state::stopping;
}

std::vector<const observed_container*> containers_of(
    const observed_project& now, const std::string& service) {
    std::vector<const observed_container*> found;
    for (const observed_container& container : now.containers)
        if (container.service == service)
            found.push_back(&container);
    std::sort(found.begin(), found.end(), [](const auto* a, const auto* b) { return a->number < b->number; });
    return found;
}

/// Steps by what later ones wait for.
class planner {
  public:
    std::size_t add(step next) {
        steps_.push_back(std::move(next));
        return steps_.size() - 1;
    }

    /// Stop where it runs, and remove when `remove`. The index of the last step, or nothing when none was
    /// needed.
    std::optional<std::size_t> end(const observed_container& container, bool remove,
        const std::string& reason, const std::vector<std::size_t>& after) {
        std::optional<std::size_t> last;
        if (needs_stop(container.state))
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

    plan take() { return std::move(steps_); }

  private:
    plan steps_;
};

/// plan_up in its parts; each fills what the next wait for.
class up_planner {
  public:
    up_planner(const up_request& wanted, const observed_project& now) : wanted_(wanted), now_(now) {}

    plan make() {
        networks();
        volumes();
        images();
        if (wanted_.remove_orphans)
            orphans();
        for (const std::string& name : in_dependency_order(wanted_.project))
            if (wanted_.services.contains(name))
                containers(wanted_.project.services.at(name));
        if (wanted_.start)
            for (const std::string& name : in_dependency_order(wanted_.project))
                if (wanted_.services.contains(name))
                    starts(wanted_.project.services.at(name));
        return steps_.take();
    }

  private:
    void networks();
    void volumes();
    void images();
    void orphans();
    void containers(const compose::service& service);
    void create(const compose::service& service, unsigned number, const std::string& reason,
        std::optional<std::size_t> after);
    std::string change_of(const compose::service& service, const observed_container& container) const;
    void starts(const compose::service& service);
    std::vector<std::size_t> conditions(const compose::service& service);
    std::optional<std::size_t> condition(const std::string& name, const compose::dependency& how);

    /// A container that a start step is due for.
    struct pending_start {
        std::string name;
        std::string id;
        std::optional<std::size_t> created;
    };

    const up_request& wanted_;
    const observed_project& now_;
    planner steps_;
    std::map<std::string, std::size_t> network_steps_; // by key in the project
    std::map<std::string, std::size_t> volume_steps_;
    std::map<std::string, std::size_t> image_steps_;            // by reference
    std::map<std::string, std::vector<pending_start>> pending_; // by service
    std::map<std::string, std::vector<std::size_t>> start_steps_;
    // One that is required and one that is not are two: the second lets go on what the first holds back.
    std::map<std::tuple<std::string, dependency_condition, bool>, std::size_t> condition_steps_;
};

void up_planner::networks() {
    std::set<std::string> used;
    for (const std::string& name : wanted_.services)
        for (const auto& [key, how] : wanted_.project.services.at(name).networks)
            used.insert(key);
    for (const std::string& key : used) {
        const compose::network& network = wanted_.project.networks.at(key);
        if (now_.networks.contains(network.name))
            continue;
        if (network.external)
            throw error(error_kind::not_found,
                fmt::format("network {} declared as external, but could not be found", network.name));
        network_steps_[key] = steps_.add(
            {.kind = step_kind::create_network, .name = network.name, .key = key, .reason = "missing"});
    }
}

void up_planner::volumes() {
    std::set<std::string> used;
    for (const std::string& name : wanted_.services)
        for (const compose::mount& mount : wanted_.project.services.at(name).mounts)
            if (mount.type == compose::mount_type::volume && !mount.source.empty())
                used.insert(mount.source);
    for (const std::string& key : used) {
        const compose::volume& volume = wanted_.project.volumes.at(key);
        if (now_.volumes.contains(volume.name))
            continue;
        if (volume.external)
            throw error(error_kind::not_found,
                fmt::format("volume {} declared as external, but could not be found", volume.name));
        volume_steps_[key] = steps_.add(
            {.kind = step_kind::create_volume, .name = volume.name, .key = key, .reason = "missing"});
    }
}

void up_planner::images() {
    for (const std::string& name : wanted_.services) {
        const compose::service& service = wanted_.project.services.at(name);
        if (now_.images.contains(service.image) || image_steps_.contains(service.image))
            continue;
        if (service.pull_policy == "never")
            throw error(error_kind::invalid,
                fmt::format(
                    "image \"{}\" of service \"{}\" is not here and pull_policy is never; load it with: "
                    "compose load -i FILE",
                    service.image, name));
        image_steps_[service.image] = steps_.add(
            {.kind = step_kind::pull_image, .name = service.image, .service = name, .reason = "missing"});
    }
}

void up_planner::orphans() {
    for (const observed_container& container : now_.containers)
        if (!wanted_.project.services.contains(container.service))
            steps_.end(container, true, "its service is no longer in the file", {});
}

std::string up_planner::change_of(
    const compose::service& service, const observed_container& container) const {
    if (wanted_.force_recreate.contains(service.name))
        return "asked for";
    if (container.hash != wanted_.hashes.at(service.name))
        return "definition changed";
    const auto image = now_.images.find(service.image);
    if (image != now_.images.end() && image->second != container.image)
        return "image changed";
    return {};
}

void up_planner::create(const compose::service& service, unsigned number, const std::string& reason,
    std::optional<std::size_t> after) {
    step next{.kind = step_kind::create_container,
        .name = container_name_of(wanted_.project, service, number),
        .service = service.name,
        .number = number,
        .reason = reason};
    if (after)
        next.after.push_back(*after);
    if (const auto pull = image_steps_.find(service.image); pull != image_steps_.end())
        next.after.push_back(pull->second);
    for (const auto& [key, how] : service.networks)
        if (const auto network = network_steps_.find(key); network != network_steps_.end())
            next.after.push_back(network->second);
    for (const compose::mount& mount : service.mounts)
        if (mount.type == compose::mount_type::volume)
            if (const auto volume = volume_steps_.find(mount.source); volume != volume_steps_.end())
                next.after.push_back(volume->second);
    const std::string name = next.name;
    const std::size_t index = steps_.add(std::move(next));
    pending_[service.name].push_back({.name = name, .id = {}, .created = index});
}

void up_planner::containers(const compose::service& service) {
    std::set<unsigned> present;
    for (const observed_container* container : containers_of(now_, service.name)) {
        if (container->number > service.scale) {
            steps_.end(*container, true, "scaled down", {});
            continue;
        }
        present.insert(container->number);
        const std::string change = change_of(service, *container);
        if (!change.empty())
            create(service, container->number, change, steps_.end(*container, true, change, {}));
        else if (!is_up(container->state))
            pending_[service.name].push_back({.name = container->name, .id = container->id, .created = {}});
    }
    for (unsigned number = 1; number <= service.scale; ++number)
        if (!present.contains(number))
            create(service, number, "missing", std::nullopt);
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

/// A one-shot whose success others wait for is not run a second time.
bool has_succeeded(const compose::project& project, const observed_project& now, const std::string& service,
    const std::string& id) {
    const bool one_shot =
        std::any_of(project.services.begin(), project.services.end(), [&](const auto& entry) {
            const auto found = entry.second.depends_on.find(service);
            return found != entry.second.depends_on.end() &&
                   found->second.condition == dependency_condition::completed_successfully;
        });
    return one_shot &&
           std::any_of(now.containers.begin(), now.containers.end(), [&](const observed_container& each) {
               return each.id == id && each.state == run_state::exited && each.exit_code == 0;
           });
}

void up_planner::starts(const compose::service& service) {
    const auto due = pending_.find(service.name);
    if (due == pending_.end())
        return;
    std::erase_if(due->second, [&](const pending_start& each) {
        return !each.id.empty() && has_succeeded(wanted_.project, now_, service.name, each.id);
    });
    if (due->second.empty())
        return;
    const std::vector<std::size_t> gates = conditions(service);
    for (const pending_start& each : due->second) {
        step next{.kind = step_kind::start_container,
            .name = each.name,
            .service = service.name,
            .container = each.id,
            .reason = "not running",
            .after = gates};
        if (each.created)
            next.after.push_back(*each.created);
        start_steps_[service.name].push_back(steps_.add(std::move(next)));
    }
}

} // namespace

plan plan_up(const up_request& wanted, const observed_project& now) {
    return up_planner(wanted, now).make();
}

namespace {

/// Ends containers so that a service's go only after those of all its dependents.
void end_in_reverse(planner& steps, const compose::project& project, const observed_project& now,
    const std::set<std::string>& services, bool remove, const std::string& reason) {
    std::map<std::string, std::vector<std::size_t>> ended; // last steps by service
    std::vector<std::string> order = in_dependency_order(project);
    std::reverse(order.begin(), order.end());
    for (const std::string& name : order) {
        if (!services.contains(name))
            continue;
        std::vector<std::size_t> after;
        for (const auto& [dependent, service] : project.services)
            if (service.depends_on.contains(name))
                if (const auto found = ended.find(dependent); found != ended.end())
                    after.insert(after.end(), found->second.begin(), found->second.end());
        for (const observed_container* container : containers_of(now, name))
            if (const auto last = steps.end(*container, remove, reason, after))
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

plan plan_down(const compose::project& project, const observed_project& now, bool volumes) {
    planner steps;
    std::set<std::string> known;
    for (const auto& [name, service] : project.services)
        known.insert(name);
    for (const observed_container& container : now.containers)
        if (!known.contains(container.service))
            steps.end(container, true, "down", {});
    end_in_reverse(steps, project, now, known, true, "down");
    plan result = steps.take();
    const std::vector<std::size_t> containers_gone = all_of(result.size());
    for (const auto& [key, network] : project.networks)
        if (!network.external && now.networks.contains(network.name))
            result.push_back({.kind = step_kind::remove_network,
                .name = network.name,
                .key = key,
                .reason = "down",
                .after = containers_gone});
    for (const auto& [key, volume] : project.volumes)
        if (volumes && !volume.external && now.volumes.contains(volume.name))
            result.push_back({.kind = step_kind::remove_volume,
                .name = volume.name,
                .key = key,
                .reason = "down --volumes",
                .after = containers_gone});
    for (const std::string& name : now.anonymous_volumes)
        if (volumes)
            result.push_back({.kind = step_kind::remove_volume,
                .name = name,
                .reason = "down --volumes",
                .after = containers_gone});
    return result;
}

plan plan_stop(const compose::project& project, const observed_project& now,
    const std::set<std::string>& services, bool remove) {
    planner steps;
    end_in_reverse(steps, project, now, services, remove, "asked for");
    return steps.take();
}

plan plan_start(
    const compose::project& project, const observed_project& now, const std::set<std::string>& services) {
    plan result;
    std::map<std::string, std::vector<std::size_t>> started;
    for (const std::string& name : in_dependency_order(project)) {
        if (!services.contains(name))
            continue;
        std::vector<std::size_t> gates;
        for (const auto& [dependency, how] : project.services.at(name).depends_on) {
            const auto earlier = started.find(dependency);
            if (earlier == started.end())
                continue;
            result.push_back({.kind = step_kind::await_condition,
                .name = dependency,
                .service = dependency,
                .condition = how.condition,
                .required = how.required,
                .after = earlier->second});
            gates.push_back(result.size() - 1);
        }
        for (const observed_container* container : containers_of(now, name)) {
            if (is_up(container->state))
                continue;
            result.push_back({.kind = step_kind::start_container,
                .name = container->name,
                .service = name,
                .container = container->id,
                .reason = "asked for",
                .after = gates});
            started[name].push_back(result.size() - 1);
        }
    }
    return result;
}

} // namespace engine
