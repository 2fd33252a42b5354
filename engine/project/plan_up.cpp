#include "engine/project/plan.hpp"

#include "engine/project/definitions.hpp"
#include "engine/project/handover.hpp"
#include "engine/project/plan_steps.hpp"
#include "engine/project/plan_update.hpp"

#include "compose/encode/encode.hpp"
#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

namespace engine {

using compose::dependency_condition;
using compose::error;
using compose::error_kind;

namespace {

/// plan_up in its parts; each fills what the next wait for.
class up_planner {
  public:
    up_planner(const up_request& wanted, const observed_project& now)
        : wanted_(wanted), now_(now), order_(in_dependency_order(wanted.project)),
          one_shots_(one_shots_of(wanted.project)), containers_(now) {}

    plan make() {
        networks();
        volumes();
        images();
        if (!wanted_.containers)
            return steps_.take();
        if (wanted_.renew_anonymous)
            renew();
        if (wanted_.remove_orphans)
            orphans();
        beside();
        if (wanted_.start)
            stop_dependents();
        for (const std::string& name : order_)
            if (wanted_.services.contains(name))
                ends(wanted_.project.services.at(name));
        for (const std::string& name : order_)
            if (wanted_.services.contains(name))
                containers(wanted_.project.services.at(name));
        if (wanted_.start)
            for (const std::string& name : order_)
                if (wanted_.services.contains(name))
                    starts(wanted_.project.services.at(name));
        return steps_.take();
    }

  private:
    void networks();
    void remake(const std::string& key, const network_definition& there);
    void volumes();
    void images();
    bool is_here(const std::string& reference) const;
    void pull(const std::string& reference, const std::string& service);
    void renew();
    bool is_removed_orphan(const observed_container& container) const;
    void orphans();
    bool has_succeeded(const observed_container& container) const;
    bool begins_anew(const compose::service& service) const;
    void stop_dependents();
    std::vector<std::size_t> dependents_stopped(const std::string& service) const;
    void remove(const observed_container& container, const std::string& reason,
        const std::vector<std::size_t>& after);
    void beside();
    const observed_container* coming_for(const observed_container& old) const;
    const compose::update_policy* policy_of(const compose::service& service) const;
    bool is_updated(const compose::service& service, const observed_container& container) const;
    bool is_in_the_way(const compose::service& service, const observed_container& container) const;
    std::vector<std::size_t> needs_of(const compose::service& service) const;
    std::string pinned(const std::string& reference) const;
    void updates(const compose::service& service, const std::vector<std::size_t>& gates);
    void ends(const compose::service& service);
    void containers(const compose::service& service);
    void create(const compose::service& service, unsigned number, const std::string& reason,
        std::optional<std::size_t> after);
    std::optional<std::size_t> update(const compose::service& service, const observed_container& container,
        std::optional<std::size_t> after);
    std::vector<std::size_t> handed_over(const std::string& name, const compose::service& service) const;
    std::string change_of(const compose::service& service, const observed_container& container) const;
    bool is_remade(const std::string& service) const;
    void starts(const compose::service& service);
    std::vector<std::size_t> conditions(const compose::service& service);
    std::optional<std::size_t> condition(const std::string& name, const compose::dependency& how);

    /// A container that a start step is due for.
    struct pending_start {
        std::string name;
        std::string id;
        std::optional<std::size_t> created;
    };

    /// A container that goes.
    struct ended_container {
        std::string reason;
        std::size_t last = 0; // step
        std::string service;
        holdings free; // from then on
    };

    const up_request& wanted_;
    const observed_project& now_;
    const std::vector<std::string> order_; // of dependencies
    const std::set<std::string> one_shots_;
    const containers_by_service containers_;
    plan_steps steps_;
    std::map<std::string, std::size_t> network_steps_; // by key in the project
    std::map<std::string, std::size_t> volume_steps_;
    std::map<std::string, ended_container> ended_;              // by id
    std::map<std::string, std::size_t> stopped_;                // by id: those that go on as they are after
    std::map<std::string, std::size_t> image_steps_;            // by reference
    std::map<std::string, std::vector<pending_start>> pending_; // by service
    std::map<std::string, std::vector<std::size_t>> start_steps_;
    // One that is required and one that is not are two: the second lets go on what the first holds back.
    std::map<std::tuple<std::string, dependency_condition, bool>, std::size_t> condition_steps_;
};

/// A one-shot whose success others wait for is not run a second time.
bool up_planner::has_succeeded(const observed_container& container) const {
    return one_shots_.contains(container.service) && container.state == run_state::exited &&
           container.exit_code == 0;
}

/// Once, whatever the reasons are.
void up_planner::remove(
    const observed_container& container, const std::string& reason, const std::vector<std::size_t>& after) {
    if (ended_.contains(container.id))
        return;
    ended_container gone{.reason = reason,
        .last = *steps_.end(container, true, reason, after),
        .service = container.service,
        .free = holdings(container.name, container.definition)};
    ended_.emplace(container.id, std::move(gone));
}

/// The steps after which a container can have what others have now.
std::vector<std::size_t> up_planner::handed_over(
    const std::string& name, const compose::service& service) const {
    std::vector<std::size_t> steps;
    if (ended_.empty())
        return steps;
    const holdings wanted(name, &service);
    for (const auto& [id, each] : ended_)
        if (each.service != service.name && wanted.clash_with(each.free))
            steps.push_back(each.last);
    return steps;
}

/// Containers on a network that has changed go before it does.
void up_planner::remake(const std::string& key, const network_definition& there) {
    std::vector<std::size_t> gone;
    for (const observed_container& container : now_.containers) {
        if (!container.networks.contains(there.name))
            continue;
        if (!wanted_.services.contains(container.service) && !is_removed_orphan(container))
            throw error(error_kind::conflict,
                fmt::format(
                    "network \"{}\" has changed in the file and container \"{}\", which this `up` is not "
                    "about, is on it; bring the whole stack up, or remove that container first",
                    there.name, container.name));
        remove(container, fmt::format("network {} changed", there.name), {});
        gone.push_back(ended_.at(container.id).last);
    }
    const std::size_t removed = steps_.add({.kind = step_kind::remove_network,
        .name = there.name,
        .key = key,
        .reason = "definition changed",
        .after = std::move(gone)});
    network_steps_[key] = steps_.add({.kind = step_kind::create_network,
        .name = there.name,
        .key = key,
        .reason = "definition changed",
        .after = {removed}});
}

void up_planner::networks() {
    std::set<std::string> used;
    for (const std::string& name : wanted_.services)
        for (const auto& [key, how] : wanted_.project.services.at(name).networks)
            used.insert(key);
    for (const std::string& key : used) {
        const compose::network& network = wanted_.project.networks.at(key);
        const auto there = now_.networks.find(network.name);
        if (there == now_.networks.end() && network.external)
            throw error(error_kind::not_found,
                fmt::format("network {} declared as external, but could not be found", network.name));
        if (there == now_.networks.end()) {
            network_steps_[key] = steps_.add(
                {.kind = step_kind::create_network, .name = network.name, .key = key, .reason = "missing"});
            continue;
        }
        if (network.external || there->second.project != wanted_.project.name || !wanted_.containers)
            continue;
        network_definition asked = network_of(wanted_.project, key);
        const bool relabelled = asked.labels != there->second.labels;
        asked.labels = there->second.labels; // they do not change what the network does
        if (asked != there->second)
            remake(key, there->second);
        else if (relabelled)
            steps_.add({.kind = step_kind::create_network,
                .name = network.name,
                .key = key,
                .reason = "labels changed"});
    }
}

void up_planner::volumes() {
    for (const std::string& key : volumes_used(wanted_)) {
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
        for (const compose::mount& mount : service.mounts)
            if (mount.type == compose::mount_type::image)
                pull(mount.source, name);
        if (is_here(service.image) || image_steps_.contains(service.image))
            continue;
        if (service.pull_policy == "never")
            throw error(error_kind::invalid,
                fmt::format(
                    "image \"{}\" of service \"{}\" is not here and pull_policy is never; load it with: "
                    "compose load -i FILE",
                    service.image, name));
        pull(service.image, name);
    }
}

bool up_planner::is_here(const std::string& reference) const {
    return now_.images.contains(reference) && !wanted_.pull_again.contains(reference);
}

void up_planner::pull(const std::string& reference, const std::string& service) {
    if (is_here(reference) || image_steps_.contains(reference))
        return;
    const auto again = wanted_.pull_again.find(reference);
    image_steps_[reference] = steps_.add({.kind = step_kind::pull_image,
        .name = reference,
        .service = service,
        .reason = again == wanted_.pull_again.end() ? "missing" : again->second});
}

/// All that use one of the volumes end before it does, dependents first.
void up_planner::renew() {
    const std::string reason = "volumes without names are renewed";
    std::set<std::string> volumes;
    for (const std::string& name : wanted_.services)
        for (const observed_container* container : containers_.of(name))
            for (const std::string& volume : container->volumes)
                if (const auto there = now_.volumes.find(volume);
                    there != now_.volumes.end() && is_anonymous(there->second))
                    volumes.insert(volume);
    std::vector<const observed_container*> users;
    for (auto name = order_.rbegin(); name != order_.rend(); ++name)
        for (const observed_container* container : containers_.of(*name))
            if (std::any_of(volumes.begin(), volumes.end(),
                    [&](const std::string& volume) { return container->volumes.contains(volume); }))
                users.push_back(container);
    std::vector<std::size_t> gone;
    for (const observed_container* container : users) {
        if (!wanted_.services.contains(container->service) && !is_removed_orphan(*container))
            throw error(error_kind::conflict,
                fmt::format(
                    "container \"{}\", which this `up` is not about, has volumes that are to be renewed; "
                    "bring the whole stack up, or remove that container first",
                    container->name));
        remove(*container, reason, gone);
        gone.push_back(ended_.at(container->id).last);
    }
    for (const std::string& volume : volumes)
        gone = {steps_.add(
            {.kind = step_kind::remove_volume, .name = volume, .key = {}, .reason = reason, .after = gone})};
    if (!volumes.empty())
        for (const observed_container* container : users)
            ended_.at(container->id).last = gone.front();
}

bool up_planner::is_removed_orphan(const observed_container& container) const {
    return wanted_.remove_orphans && !wanted_.project.services.contains(container.service) &&
           !wanted_.project.disabled_services.contains(container.service);
}

void up_planner::orphans() {
    for (const observed_container& container : now_.containers)
        if (is_removed_orphan(container))
            remove(container, "its service is no longer in the file", {});
}

std::string up_planner::change_of(
    const compose::service& service, const observed_container& container) const {
    if (wanted_.keep_containers)
        return {};
    if (wanted_.force_recreate.contains(service.name))
        return "asked for";
    if (container.hash != wanted_.hashes.at(service.name)) {
        const std::vector<std::string> changes =
            container.definition == nullptr ? std::vector<std::string>()
                                            : compose::container_changes(*container.definition, service);
        return changes.empty() ? "definition changed" : fmt::format("{} changed", fmt::join(changes, ", "));
    }
    const auto image = now_.images.find(service.image);
    if (image != now_.images.end() && image->second != container.image)
        return "image changed";
    for (const auto& [reference, mounted] : container.mounted_images)
        if (const auto there = now_.images.find(reference);
            there != now_.images.end() && there->second != mounted)
            return fmt::format("image {} changed", reference);
    for (const std::string& source : service.volumes_from)
        if (const std::string other = source.substr(0, source.find(':')); is_remade(other))
            return fmt::format("{}, whose volumes it has, is made anew", other);
    return {};
}

bool up_planner::is_remade(const std::string& service) const {
    if (!wanted_.services.contains(service))
        return false;
    const std::vector<const observed_container*>& there = containers_.of(service);
    return std::any_of(there.begin(), there.end(), [&](const observed_container* each) {
        return each->number <= wanted_.project.services.at(service).scale &&
               (ended_.contains(each->id) || !change_of(wanted_.project.services.at(service), *each).empty());
    });
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
    const std::vector<std::size_t> before = handed_over(next.name, service);
    next.after.insert(next.after.end(), before.begin(), before.end());
    const std::vector<std::size_t> needs = needs_of(service);
    next.after.insert(next.after.end(), needs.begin(), needs.end());
    next.image = pinned(service.image);
    const std::string name = next.name;
    const std::size_t index = steps_.add(std::move(next));
    pending_[service.name].push_back({.name = name, .id = {}, .created = index});
}

/// The steps that make what a container of it is made from.
std::vector<std::size_t> up_planner::needs_of(const compose::service& service) const {
    std::vector<std::size_t> steps;
    if (const auto pull = image_steps_.find(service.image); pull != image_steps_.end())
        steps.push_back(pull->second);
    for (const auto& [key, how] : service.networks)
        if (const auto network = network_steps_.find(key); network != network_steps_.end())
            steps.push_back(network->second);
    for (const compose::mount& mount : service.mounts)
        if (const auto pull = image_steps_.find(mount.source);
            mount.type == compose::mount_type::image && pull != image_steps_.end())
            steps.push_back(pull->second);
    for (const compose::mount& mount : service.mounts)
        if (mount.type == compose::mount_type::volume)
            if (const auto volume = volume_steps_.find(mount.source); volume != volume_steps_.end())
                steps.push_back(volume->second);
    return steps;
}

std::string up_planner::pinned(const std::string& reference) const {
    const auto found = wanted_.pinned.find(reference);
    return found == wanted_.pinned.end() ? std::string() : found->second;
}

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

/// What does not stay as it is goes, of all services before anything is made: one may get what another has.
void up_planner::ends(const compose::service& service) {
    const std::vector<std::size_t> alone = dependents_stopped(service.name);
    for (const observed_container* container : containers_.of(service.name)) {
        if (container->number > service.scale)
            remove(*container, "scaled down", {});
        else if (is_updated(service, *container))
            continue;
        else if (const std::string change = change_of(service, *container); !change.empty())
            remove(*container, change, alone);
    }
}

void up_planner::containers(const compose::service& service) {
    std::set<unsigned> present;
    for (const observed_container* container : containers_.of(service.name)) {
        if (container->number > service.scale)
            continue;
        present.insert(container->number);
        if (is_updated(service, *container))
            continue;
        if (const auto ended = ended_.find(container->id); ended != ended_.end()) {
            create(service, container->number, ended->second.reason, ended->second.last);
            continue;
        }
        const auto stopped = stopped_.find(container->id);
        const bool starts_again = stopped != stopped_.end();
        const auto ready =
            update(service, *container, starts_again ? std::optional(stopped->second) : std::nullopt);
        if (starts_again || (!is_up(container->state) && !has_succeeded(*container)))
            pending_[service.name].push_back(
                {.name = container->name, .id = container->id, .created = ready});
    }
    for (unsigned number = 1; number <= service.scale; ++number)
        if (!present.contains(number))
            create(service, number, "missing", std::nullopt);
}

/// Limits are changed while it runs, or for its next run. Gives the last step before it may be started.
std::optional<std::size_t> up_planner::update(
    const compose::service& service, const observed_container& container, std::optional<std::size_t> after) {
    if (wanted_.keep_containers || container.definition == nullptr ||
        container.definition->limit == service.limit)
        return after;
    const std::vector<std::string> keys = compose::limit_changes(container.definition->limit, service.limit);
    step next{.kind = step_kind::update_container,
        .name = container.name,
        .service = service.name,
        .container = container.id,
        .reason = fmt::format("{} changed", fmt::join(keys, ", "))};
    if (after)
        next.after.push_back(*after);
    return steps_.add(std::move(next));
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
            .reason = "not running",
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

} // namespace

namespace {

/// A container that is removed, and one of its name that is made: its log is shown before that one's.
void mark_replaced(plan& steps) {
    std::set<std::string> made;
    for (const step& each : steps)
        if (each.kind == step_kind::create_container)
            made.insert(each.name);
    for (step& each : steps)
        if (each.kind == step_kind::remove_container && made.contains(each.name))
            each.replaced = true;
}

} // namespace

plan plan_up(const up_request& wanted, const observed_project& now) {
    plan steps = up_planner(wanted, now).make();
    mark_replaced(steps);
    return steps;
}

} // namespace engine
