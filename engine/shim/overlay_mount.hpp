#pragma once

#include <string>

namespace engine {

/// Mounts an overlay at `place`. Folders in `options` are numbers of open descriptors ("lowerdir=7:8"):
/// mount(2) takes one page of options, and so as many layers fit into it as overlayfs takes (500), whatever
/// their paths are; `:` and `,` in them need no escaping either. The working directory is as before. 0, or
/// errno.
int mount_overlay_of_descriptors(const std::string& options, const char* place, unsigned long flags);

} // namespace engine
