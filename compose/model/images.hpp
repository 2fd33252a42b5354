#pragma once

#include "compose/model/service.hpp"

#include <set>
#include <string>

namespace compose {

/// The references of the images that a container of the service cannot do without beside its own: what it
/// mounts of type image, and what its preparations run on.
std::set<std::string> further_images_of(const service& of);

} // namespace compose
