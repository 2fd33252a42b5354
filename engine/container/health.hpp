#pragma once

#include "engine/container/container_runtime.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

enum class health_status { none, starting, healthy, unhealthy };

/// "none", "starting", "healthy", "unhealthy": as in Docker's API.
std::string_view to_string(health_status status) noexcept;

/// A health check with its defaults (those of moby's daemon/health.go).
struct health_config {
    std::vector<std::string> args; // the program itself; a CMD-SHELL line is already {"/bin/sh", "-c", line}
    std::chrono::nanoseconds interval = std::chrono::seconds(30); // from the end of one probe to the next
    std::chrono::nanoseconds timeout = std::chrono::seconds(30);
    std::chrono::nanoseconds start_period{0}; // failures do not count until it is over or a probe succeeded
    std::chrono::nanoseconds start_interval = std::chrono::seconds(5); // instead of interval in that time
    unsigned retries = 3; // failures in a row that make it unhealthy

    bool operator==(const health_config&) const = default;
};

struct probe_result {
    std::chrono::system_clock::time_point started_at;
    std::chrono::system_clock::time_point finished_at;
    int exit_code = 0;  // -1: it took longer than `timeout`
    std::string output; // the first 4096 bytes; '?' for what is no UTF-8, once a health_state has it

    bool operator==(const probe_result&) const = default;
};

/// What of a run's health must not be forgotten when the daemon ends: its counts go on after that.
struct health_memory {
    health_status status = health_status::starting;
    unsigned failing_streak = 0;

    bool operator==(const health_memory&) const = default;
};

/// The health of one run, without timers: probe results in, status out.
class health_state {
  public:
    explicit health_state(health_config config, health_memory so_far = {});

    /// Takes the result of a probe that ended `since_start` after the container's start; true when the status
    /// changed.
    bool apply(probe_result result, std::chrono::nanoseconds since_start);

    /// How long to wait from the end of the last probe (or the start) to the next.
    std::chrono::nanoseconds next_delay(std::chrono::nanoseconds since_start) const noexcept;

    health_status status() const noexcept { return memory_.status; }
    unsigned failing_streak() const noexcept { return memory_.failing_streak; }
    const health_memory& memory() const noexcept { return memory_; }

    /// The last five results, oldest first.
    const std::deque<probe_result>& log() const noexcept { return log_; }

    const health_config& config() const noexcept { return config_; }

  private:
    health_config config_;
    health_memory memory_;
    std::deque<probe_result> log_;
};

/// Why its last probe that failed did, in one line of at most 260 bytes: «its check exited (1): nc: bad
/// address 'db'», of long output the beginning and the end. Empty when no probe of this daemon's has failed.
std::string last_failure(const health_state& of);

/// Probes one running container until it is destroyed or the container is gone. A probe is reaped before the
/// next is planned, so they never pile up; delays vary by a twentieth, so that not all containers probe at
/// once.
class health_monitor {
  public:
    /// `runtime` outlives the monitor. `changed` is called on the engine's thread after each probe;
    /// `status_changed` tells whether the status did.
    using observer = std::function<void(const health_state& state, bool status_changed)>;
    health_monitor(executors executors, container_runtime& runtime, std::string id, health_state so_far,
        std::chrono::system_clock::time_point started_at, observer changed);
    ~health_monitor();
    health_monitor(health_monitor&&) noexcept = default;
    health_monitor& operator=(health_monitor&&) noexcept;

    const health_state& state() const noexcept;

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
