#pragma once

#include "engine/project/container_manager.hpp"

#include <set>
#include <string>

namespace engine {

/// Before any container of these services is touched for another: throws as check_disk_of() for the first of
/// their bind sources and devices of volumes whose disk is not mounted.
task<> check_disks(engine_parts parts, compose::project project, std::set<std::string> services);

/// The services are made anew because a person wants it: what has come to lie in the folder beneath a mount
/// point that something was mounted at before is what they mean, and the mount is forgotten. An empty folder
/// is not meant: that is what a missing disk looks like.
task<> accept_folders(engine_parts parts, compose::project project, std::set<std::string> services);

} // namespace engine
