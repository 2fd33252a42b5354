#pragma once

#include <cstdint>

namespace engine {

/// What the calling thread makes on a file system belongs to `user_id` as long as this lives; it may do what
/// root may all the same. With 0 it changes nothing. A mount of overlayfs remembers whom it was made by, and
/// works as that one later.
class acting_as {
  public:
    explicit acting_as(std::int64_t user_id);
    acting_as(const acting_as&) = delete;
    acting_as& operator=(const acting_as&) = delete;
    ~acting_as();

  private:
    bool acting_ = false;
    int secure_bits_ = 0;
};

} // namespace engine
