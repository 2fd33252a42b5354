#include "engine/system/network_namespace.hpp"

#include "engine/system/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>

#include <exception>
#include <thread>

namespace engine {

void in_network_namespace(pid_t pid, const std::function<void()>& work) {
    const std::string path = fmt::format("/proc/{}/ns/net", pid);
    const unique_fd target = open_file(path, O_RDONLY);
    std::exception_ptr failure;
    std::thread([&] {
        try {
            if (::setns(target.get(), CLONE_NEWNET) != 0)
                throw_errno("enter", path);
            work();
        } catch (...) {
            failure = std::current_exception();
        }
    }).join();
    if (failure)
        std::rethrow_exception(failure);
}

} // namespace engine
