#include "engine/system/file_lease.hpp"

#include "engine/system/fd.hpp"

#include <cerrno>
#include <csignal>

#include <fcntl.h>

namespace engine {

bool is_being_written(const std::filesystem::path& file) {
    const unique_fd opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!opened)
        return false;
    // Whoever opens it for writing while we hold the lease has us signalled: by one that is ignored.
    ::fcntl(opened.get(), F_SETSIG, SIGURG);
    if (::fcntl(opened.get(), F_SETLEASE, F_RDLCK) != 0)
        return errno == EAGAIN; // a lease for reading is refused while there are writers
    ::fcntl(opened.get(), F_SETLEASE, F_UNLCK);
    return false;
}

} // namespace engine
