#pragma once

#include "engine/system/cgroup.hpp"
#include "engine/system/fd.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace engine {

/// What a container has used up to a moment. What the host does not count is 0.
struct usage_sample {
    std::chrono::steady_clock::time_point time;
    std::chrono::nanoseconds cpu{0};
    std::uint64_t memory = 0;       // without the page cache that nothing has used lately, as Docker counts
    std::uint64_t memory_limit = 0; // that of the host where it has none
    std::uint64_t received = 0;     // bytes, over all its interfaces but loopback
    std::uint64_t sent = 0;
    std::uint64_t block_read = 0;
    std::uint64_t block_written = 0;
    std::uint64_t processes = 0;
};

/// Reads what a running container uses, on cgroup v1 and v2. The files are opened once: a sample is a few
/// pread(2). What cannot be opened (a controller that the host lacks, a container that has ended) reads as
/// nothing. One thread at a time.
class usage_reader {
  public:
    usage_reader(const container_cgroup& cgroup, pid_t first_process);

    usage_sample read() const;

  private:
    bool unified_;
    std::uint64_t host_memory_;
    unique_fd cpu_;
    unique_fd memory_;
    unique_fd memory_stat_;
    unique_fd memory_limit_;
    unique_fd io_;
    unique_fd processes_;
    unique_fd network_;
};

} // namespace engine
