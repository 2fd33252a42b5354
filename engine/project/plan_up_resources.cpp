#include "engine/project/up_planner.hpp"

#include "compose/model/error.hpp"
#include "compose/model/images.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace engine {

using compose::error;
using compose::error_kind;

/// Containers on a network that has changed go before it does.
void up_planner::remake(const std::string& key, const network_definition& there) {
    if (const auto guest = now_.guests.find(there.name); guest != now_.guests.end())
        throw error(error_kind::conflict,
            fmt::format("network \"{}\" has changed in the file and {} is on it; remove that container "
                        "first, or leave the network as it is",
                there.name, guest->second));
    std::vector<std::size_t> gone;
    for (const observed_container& container : now_.containers) {
        if (!container.networks.contains(there.name))
            continue;
        if (!wanted_.services.contains(container.service) && !is_removed_orphan(container))
            throw error(error_kind::conflict,
                fmt::format("network \"{}\" has changed in the file and container \"{}\", {}", there.name,
                    container.name,
                    is_orphan(container)
                        ? "whose service the file has no more, is on it; take it along with "
                          "--remove-orphans, or leave the network as it is"
                        : "which this `up` is not about, is on it; bring the whole stack up, or remove that "
                          "container first"));
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
    for (const std::string& key : networks_used(wanted_)) {
        const compose::network& network = wanted_.project.networks.at(key);
        const auto there = now_.networks.find(network.name);
        if (network.external && network.name == default_bridge().name)
            continue; // it is there for whoever wants to be on it
        if (network.external && (network.name == "host" || network.name == "none"))
            throw error(error_kind::invalid,
                fmt::format("networks.{}: \"{}\" can only be the one network of a service, without others "
                            "beside it",
                    key, network.name));
        if (there == now_.networks.end() && network.external)
            throw error(error_kind::not_found,
                fmt::format("network {} declared as external, but could not be found", network.name));
        if (there == now_.networks.end()) {
            network_steps_[key] = steps_.add(
                {.kind = step_kind::create_network, .name = network.name, .key = key, .reason = "missing"});
            continue;
        }
        if (network.external)
            continue;
        if (there->second.project != wanted_.project.name) {
            // Docker Compose joins one that bears the same key in the other's file, with a warning.
            if (there->second.key == key && !there->second.project.empty())
                continue;
            throw error(error_kind::conflict,
                fmt::format("network \"{}\" is {}, not of project \"{}\"; to be on it too: networks.{}: "
                            "{{external: true, name: {}}}; else give it another name",
                    network.name,
                    there->second.project.empty() ? "that of network_mode: bridge"
                                                  : fmt::format("networks.{} of project \"{}\"",
                                                        there->second.key, there->second.project),
                    wanted_.project.name, key, network.name));
        }
        if (!wanted_.containers)
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
                fmt::format("volume {0} declared as external, but could not be found; make it with: compose "
                            "volume create {0}",
                    volume.name));
        volume_steps_[key] = steps_.add(
            {.kind = step_kind::create_volume, .name = volume.name, .key = key, .reason = "missing"});
    }
}

void up_planner::images() {
    for (const std::string& name : wanted_.services) {
        const compose::service& service = wanted_.project.services.at(name);
        std::set<std::string> needed = compose::further_images_of(service);
        needed.insert(service.image);
        for (const std::string& image : needed) {
            if (is_here(image) || image_steps_.contains(image))
                continue;
            if (service.pull_policy == "never")
                throw error(error_kind::invalid,
                    fmt::format(
                        "image \"{}\" of service \"{}\" is not here and pull_policy is never; load it with: "
                        "compose load -i FILE",
                        image, name));
            pull(image, name);
        }
    }
}

bool up_planner::is_here(const std::string& reference) const {
    return now_.images.contains(reference) && !wanted_.pull_again.contains(reference);
}

void up_planner::pull(const std::string& reference, const std::string& service) {
    const auto again = wanted_.pull_again.find(reference);
    image_steps_[reference] = steps_.add({.kind = step_kind::pull_image,
        .name = reference,
        .service = service,
        .reason = again == wanted_.pull_again.end() ? "missing" : again->second});
}

} // namespace engine
