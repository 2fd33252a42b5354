#include "engine/project/up_planner.hpp"

#include "compose/encode/encode.hpp"
#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace engine {

using compose::error;
using compose::error_kind;

plan up_planner::make() {
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
    for (const std::string& volume : volumes)
        if (const auto guest = now_.volume_guests.find(volume); guest != now_.volume_guests.end())
            throw error(error_kind::conflict,
                fmt::format("volume \"{}\" is to be renewed and {} has it; remove that container first",
                    volume, guest->second));
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

bool up_planner::is_orphan(const observed_container& container) const {
    return !wanted_.project.services.contains(container.service) &&
           !wanted_.project.disabled_services.contains(container.service);
}

bool up_planner::is_removed_orphan(const observed_container& container) const {
    return wanted_.remove_orphans && is_orphan(container);
}

void up_planner::orphans() {
    for (const observed_container& container : now_.containers)
        if (is_removed_orphan(container))
            remove(container, "its service is no longer in the file", {});
}

/// Its keys are those of the file, but they mean other networks or volumes of this host by now.
std::string up_planner::renamed_for(
    const compose::service& service, const observed_container& container) const {
    if (container.definition == nullptr)
        return {};
    for (const auto& [key, how] : service.networks)
        if (const std::string& name = wanted_.project.networks.at(key).name;
            !container.networks.contains(name))
            return fmt::format("networks.{} is {} by now", key, name);
    for (const compose::mount& mount : service.mounts)
        if (mount.type == compose::mount_type::volume && !mount.source.empty())
            if (const std::string& name = wanted_.project.volumes.at(mount.source).name;
                !container.volumes.empty() && !container.volumes.contains(name)) // unknown of old records
                return fmt::format("volumes.{} is {} by now", mount.source, name);
    return {};
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
    if (std::string names = renamed_for(service, container); !names.empty())
        return names;
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
        else if (container->hooks_due) // its start has not come to its end
            pending_[service.name].push_back({.name = container->name,
                .id = container->id,
                .created = ready,
                .reason = "its post_start hooks run"});
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
