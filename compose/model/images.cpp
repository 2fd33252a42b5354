#include "compose/model/images.hpp"

namespace compose {

std::set<std::string> further_images_of(const service& of) {
    std::set<std::string> found;
    for (const mount& each : of.mounts)
        if (each.type == mount_type::image)
            found.insert(each.source);
    for (const preparation& each : of.pre_start)
        found.insert(each.image);
    found.erase(of.image);
    return found;
}

} // namespace compose
