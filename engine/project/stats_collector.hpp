#pragma once

#include "engine/container/stats.hpp"
#include "engine/project/container_manager.hpp"
#include "engine/system/notifier.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace engine {

/// The last two samples of a container: the first alone tells no CPU usage.
struct container_usage {
    std::uint64_t generation = 0; // of the run
    usage_sample before;
    usage_sample now;
    bool whole = false; // both are there

    /// Of one processor, in percent.
    double cpu_percent() const noexcept;
};

/// What the containers of projects use, once a second, only while somebody watches and shared by all who do.
/// Engine state: used on the engine's thread only.
class stats_collector {
  public:
    stats_collector(executors on, container_manager& containers);
    ~stats_collector();

    /// Sampling of the project goes on as long as it lives.
    std::shared_ptr<void> watch(const std::string& project);

    /// Nothing for one that does not run or has not been sampled yet.
    const container_usage* of(const std::string& id) const;

    /// Grows with each round of samples.
    std::uint64_t round() const noexcept;
    /// Wakes after each round.
    notifier& sampled();

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
