#include "engine/system/fd.hpp"

#include "compose/model/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace engine {

unique_fd& unique_fd::operator=(unique_fd&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = other.release();
    }
    return *this;
}

void unique_fd::reset() noexcept {
    if (fd_ >= 0)
        ::close(std::exchange(fd_, -1));
}

unique_fd unique_fd::duplicate() const {
    const int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        throw_errno("duplicate", "file descriptor");
    return unique_fd(copy);
}

namespace {

compose::error_kind kind_of(int code) noexcept {
    switch (code) {
    case ENOENT:
    case ESRCH:
        return compose::error_kind::not_found;
    case EEXIST:
    case EBUSY:
    case EADDRINUSE:
    case ENOTEMPTY:
        return compose::error_kind::conflict;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return compose::error_kind::exhausted;
    default:
        return compose::error_kind::internal;
    }
}

} // namespace

void throw_errno(std::string_view what, std::string_view object) {
    const int code = errno;
    throw compose::error(
        kind_of(code), fmt::format("{} \"{}\": {}", what, object, std::generic_category().message(code)));
}

} // namespace engine
