#pragma once

#include "engine/container/launch.hpp"
#include "engine/image/config.hpp"
#include "engine/project/container_manager.hpp"

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace engine {

/// A mount of a container, of its service or taken over from another (volumes_from).
struct wanted_mount {
    compose::mount how;
    std::string volume;                        // of type volume: its name on the host
    volume_definition anonymous;               // one without a name, to be made; else without a name
    std::vector<std::filesystem::path> layers; // of the image that an empty volume is filled from
};

/// What its service and its image say, without volumes_from. Its own come before those of the image.
std::vector<wanted_mount> own_mounts(
    const volume_store& volumes, const container_record& record, const image_config& image);

/// Adds those of others where the service itself has nothing; a VOLUME of the image yields to them. Of two
/// with one target the first counts.
void join_mounts(
    std::vector<wanted_mount>& mounts, std::vector<wanted_mount> others, const compose::service& service);

struct resolved_mounts {
    std::vector<container_mount> mounts;
    std::set<std::string> mounted_sources;     // bind sources on another file system than /
    std::set<std::string> volumes;             // names on the host
    std::map<std::string, std::string> images; // id by reference
};

/// Makes sure that what a container mounts is there and says where: volumes (made, filled from the image when
/// they are empty and new), bind sources (made as folders where create_host_path allows it, but never for a
/// container that has run with them: then a disk is missing, as it is when a source that was on another file
/// system is on that of / now, or where fstab or known_mounts has one), images. Throws error{not_found}
/// naming what is missing.
task<resolved_mounts> resolve_mounts(
    engine_parts parts, container_record record, std::vector<wanted_mount> wanted);

} // namespace engine
