#include "engine/shim/acting_as.hpp"

#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/types.h>

namespace engine {

// Without the bit the kernel takes away what root may do on file systems with the change of the id
// (capabilities(7)).
acting_as::acting_as(std::int64_t user_id) {
    if (user_id == 0)
        return;
    acting_ = true;
    secure_bits_ = ::prctl(PR_GET_SECUREBITS);
    ::prctl(PR_SET_SECUREBITS, secure_bits_ | SECBIT_NO_SETUID_FIXUP);
    ::setfsgid(static_cast<gid_t>(user_id));
    ::setfsuid(static_cast<uid_t>(user_id));
}

acting_as::~acting_as() {
    if (!acting_)
        return;
    ::setfsuid(0);
    ::setfsgid(0);
    ::prctl(PR_SET_SECUREBITS, secure_bits_);
}

} // namespace engine
