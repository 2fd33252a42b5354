#include "engine/project/project_manager_state.hpp"

#include "compose/model/images.hpp"
#include "engine/image/image_store.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/project/pull_policy.hpp"
#include "engine/volume/volume_store.hpp"

#include <fmt/format.h>

// What there is on the host for a project, as plans ask.
namespace engine {

namespace {

/// In words: a container that is no service's of the project.
std::string guest_of(const container_record& record) {
    return fmt::format("container \"{}\"{}", record.name,
        record.one_off ? ", made by `run` or a schedule," : " of another project");
}

} // namespace

observed_project project_manager::implementation::observe_project(
    const std::string& name, const compose::project& definition) const {
    observed_project now;
    for (const container_view* each : containers.of_project(name))
        if (!each->record.one_off)
            now.containers.push_back(observe(*each));
    for (const network_record& each : parts.networks.list())
        now.networks.emplace(each.definition.name, each.definition);
    for (const container_view* each : containers.all()) {
        const bool goes_along = !each->record.prepares.empty(); // with the one that it prepares
        if (goes_along || (each->record.project == name && !each->record.one_off))
            continue;
        if (const attachment* at = parts.networks.find_attachment(each->record.id))
            for (const endpoint& on : at->endpoints)
                now.guests.emplace(on.network, guest_of(each->record));
        const bool is_over = each->record.one_off && each->state == run_state::exited;
        for (const std::string& volume : is_over ? std::set<std::string>() : observe(*each).volumes)
            now.volume_guests.emplace(volume, guest_of(each->record));
    }
    for (const volume_record& each : parts.volumes.list())
        now.volumes.emplace(each.definition.name, each.definition);
    for (const auto& [key, service] : definition.services)
        if (const auto picture = parts.images.find(service.image);
            picture && is_for(*picture, service.platform))
            now.images[service.image] = picture->id;
    for (const auto& [key, service] : definition.services)
        for (const std::string& image : compose::further_images_of(service))
            if (const auto picture = parts.images.find(image); picture && is_for(*picture, service.platform))
                now.images[image] = picture->id;
    return now;
}

} // namespace engine
