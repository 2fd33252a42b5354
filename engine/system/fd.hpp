#pragma once

#include <string_view>
#include <utility>

namespace engine {

/// Owns one open file descriptor. Move-only; closes on destruction.
class unique_fd {
  public:
    unique_fd() noexcept = default;
    explicit unique_fd(int fd) noexcept : fd_(fd) {}
    unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    unique_fd& operator=(unique_fd&& other) noexcept;
    ~unique_fd() { reset(); }

    /// The descriptor for a system call; stays owned by this object.
    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

    /// Gives up ownership.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void reset() noexcept;

    /// A second descriptor of the same open file, close-on-exec. Throws error{internal}.
    unique_fd duplicate() const;

  private:
    int fd_ = -1;
};

/// Throws error with "`what` "`object`": text of errno". The kind follows errno: ENOENT is not_found, EEXIST
/// and EBUSY conflict, ENOSPC, EMFILE and the like exhausted, everything else internal.
[[noreturn]] void throw_errno(std::string_view what, std::string_view object);

} // namespace engine
