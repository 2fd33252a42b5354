#include "engine/shim/overlay_mount.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

namespace engine {

int mount_overlay_of_descriptors(const std::string& options, const char* place, unsigned long flags) {
    const int before = ::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int target = ::open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int failure = before < 0 || target < 0 || ::chdir("/proc/self/fd") != 0 ? errno : 0;
    if (failure == 0) {
        if (::mount("overlay", std::to_string(target).c_str(), "overlay", flags, options.c_str()) != 0)
            failure = errno;
        if (::fchdir(before) != 0 && failure == 0)
            failure = errno;
    }
    for (const int each : {before, target})
        if (each >= 0)
            ::close(each);
    return failure;
}

} // namespace engine
