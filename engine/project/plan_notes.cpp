#include "engine/project/plan.hpp"
#include "engine/project/plan_steps.hpp"
#include "engine/project/plan_update.hpp"

#include <fmt/format.h>

namespace engine {

std::set<std::string> volumes_used(const up_request& wanted) {
    std::set<std::string> used;
    for (const std::string& name : wanted.services)
        for (const compose::mount& mount : wanted.project.services.at(name).mounts)
            if (mount.type == compose::mount_type::volume && !mount.source.empty())
                used.insert(mount.source);
    return used;
}

std::set<std::string> networks_used(const up_request& wanted) {
    std::set<std::string> used;
    for (const std::string& name : wanted.services)
        for (const auto& [key, how] : wanted.project.services.at(name).networks)
            used.insert(key);
    return used;
}

std::vector<std::string> left_unchanged(const up_request& wanted, const observed_project& now) {
    std::vector<std::string> notes;
    for (const std::string& key : networks_used(wanted)) {
        const compose::network& network = wanted.project.networks.at(key);
        const auto there = now.networks.find(network.name);
        if (there != now.networks.end() && !network.external && there->second.project != wanted.project.name)
            notes.push_back(fmt::format(
                "network \"{}\" is of project \"{}\" and is used as it is there; say so with networks.{}: "
                "{{external: true, name: {}}}",
                network.name, there->second.project, key, network.name));
    }
    for (const std::string& key : volumes_used(wanted)) {
        const compose::volume& volume = wanted.project.volumes.at(key);
        const auto there = now.volumes.find(volume.name);
        if (there == now.volumes.end() || volume.external)
            continue;
        if (there->second.project != wanted.project.name && !there->second.project.empty())
            notes.push_back(fmt::format("volume \"{}\" is of project \"{}\", whose data this is; say so with "
                                        "volumes.{}: {{external: true, name: {}}}",
                volume.name, there->second.project, key, volume.name));
        if (there->second.project != wanted.project.name || there->second.driver_opts == volume.driver_opts)
            continue;
        notes.push_back(
            fmt::format("volume \"{}\" keeps the driver_opts it was made with, although the file has "
                        "others by now; `down -v` removes it with its data, the next `up` makes it anew",
                volume.name));
    }
    return notes;
}

std::vector<std::string> not_start_first(const up_request& wanted, const observed_project& now) {
    std::vector<std::string> notes;
    const containers_by_service containers(now);
    for (const std::string& name : wanted.services) {
        const compose::service& service = wanted.project.services.at(name);
        const auto& there = containers.of(name);
        if (!service.update || !service.update->start_first || there.empty() ||
            there.front()->definition == nullptr)
            continue;
        if (const std::string why = start_first_obstacle(*there.front()->definition, service); !why.empty())
            notes.push_back(fmt::format(
                "services.{}.deploy.update_config.order: start-first has no effect: {}; the old container "
                "is stopped first",
                name, why));
    }
    return notes;
}

std::vector<std::string> mounts_without_effect(const up_request& wanted, bool selinux) {
    std::vector<std::string> notes;
    for (const std::string& name : wanted.services)
        for (const compose::mount& mount : wanted.project.services.at(name).mounts)
            if (!mount.selinux.empty())
                notes.push_back(fmt::format("services.{}.volumes: {}: selinux \"{}\" has no effect: {}", name,
                    mount.target, mount.selinux,
                    selinux ? "composed does not label files; use chcon" : "this host does not run SELinux"));
    return notes;
}

std::vector<std::string> links_to_nothing(const up_request& wanted, std::set<std::string> known) {
    for (const auto& [name, service] : wanted.project.services) { // which may be made only now
        known.insert({name, service.container_name});
        for (unsigned number = 1; number <= service.scale; ++number)
            known.insert(fmt::format("{}-{}-{}", wanted.project.name, name, number));
    }
    std::vector<std::string> notes;
    for (const std::string& name : wanted.services)
        for (const std::string& link : wanted.project.services.at(name).external_links)
            if (const std::string target = link.substr(0, link.find(':')); !known.contains(target))
                notes.push_back(
                    fmt::format("services.{}.external_links: there is no container \"{}\"; it is found "
                                "once there is one on a network of this service",
                        name, target));
    return notes;
}

} // namespace engine
