#include "engine/system/memory_file.hpp"

#include "engine/system/file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

namespace engine {

unique_fd make_memory_file(const std::vector<std::string>& parts) {
    constexpr const char* name = "composed-contents"; // seen in /proc/PID/fd alone
    unique_fd file(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file)
        throw_errno("create memory file", name);
    for (const std::string& part : parts)
        write_to(file, part, name);
    if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        throw_errno("seal memory file", name);
    return file;
}

void forbid_core_files() noexcept {
    ::prctl(PR_SET_DUMPABLE, 0);
}

} // namespace engine
