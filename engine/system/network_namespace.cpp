#include "engine/system/network_namespace.hpp"

#include "engine/system/file.hpp"
#include "engine/system/joined_thread.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>

namespace engine {

void in_network_namespace(pid_t pid, const std::function<void()>& work) {
    const std::string path = fmt::format("/proc/{}/ns/net", pid);
    const unique_fd target = open_file(path, O_RDONLY);
    on_joined_thread([&] {
        if (::setns(target.get(), CLONE_NEWNET) != 0)
            throw_errno("enter", path);
        work();
    });
}

} // namespace engine
