#include "engine/shim/monitor.hpp"
#include "engine/shim/tiny_init.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

// composed-shim ID: parent of one container, started by composed with a socket as descriptor 3 and the
// container's run folder as working directory. Bound into a container and started as `…/init -- PROGRAM`, it
// is that container's init.

namespace {

constexpr int daemon_socket = 3;

// The shim is to outlive what the kernel kills for memory: without it nobody would write the exit down. Needs
// CAP_SYS_RESOURCE, without which it stays as it is.
void spare_from_oom_killer() {
    const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    [[maybe_unused]] const ssize_t put = ::write(fd, "-999", 4);
    ::close(fd);
}

bool is_socket(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

} // namespace

int main(int argc, char** argv) {
    if (argc > 2 && std::strcmp(argv[1], "--") == 0)
        return engine::run_tiny_init(argv + 2);
    if (argc != 2 || !is_socket(daemon_socket)) {
        std::fputs("composed-shim is started by composed, one for each container\n", stderr);
        return 2;
    }
    ::fcntl(daemon_socket, F_SETFD, FD_CLOEXEC);
    ::umask(0022);
    ::prctl(PR_SET_NAME, "composed-shim");
    spare_from_oom_killer();
    engine::monitor shim(daemon_socket);
    return shim.run();
}
