#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace compose {

/// What a service may use of the machine, as far as a kernel changes it while the container runs: mem_limit
/// and its kin, with deploy.resources over them as Docker Compose has it. What is not set is not limited.
struct limits {
    std::optional<std::int64_t> memory;            // mem_limit, bytes
    std::optional<std::int64_t> memory_swap;       // memswap_limit, bytes with the memory; -1: no limit
    std::optional<std::int64_t> memory_soft;       // mem_reservation, bytes
    std::optional<std::int64_t> memory_swappiness; // 0 … 100; cgroup v1
    std::optional<std::int64_t> nano_cpus;         // cpus, in billionths of one
    std::optional<std::int64_t> cpu_shares;        // 2 … 262144
    std::optional<std::int64_t> cpu_quota;         // µs in each period
    std::optional<std::int64_t> cpu_period;        // µs
    std::optional<std::int64_t> cpu_rt_runtime;    // µs; cgroup v1
    std::optional<std::int64_t> cpu_rt_period;     // µs; cgroup v1
    std::string cpuset;                            // "0-2,4"
    std::optional<std::int64_t> pids;              // pids_limit; -1: no limit

    bool operator==(const limits&) const = default;
};

/// One of `ulimits`, in the units of setrlimit(2); -1: no limit.
struct ulimit {
    std::int64_t soft = 0;
    std::int64_t hard = 0;

    bool operator==(const ulimit&) const = default;
};

/// One of `devices`: a node of the host, or a name of CDI (vendor.com/class=name), which stands as both.
struct device {
    std::string source;
    std::string target;
    std::string permissions; // of rwm; empty: all

    bool operator==(const device&) const = default;
};

/// One of `gpus` or of deploy.resources.reservations.devices.
struct device_request {
    std::vector<std::string> capabilities;
    std::string driver;
    std::optional<std::int64_t> count; // -1: all
    std::vector<std::string> device_ids;
    std::map<std::string, std::string> options;

    bool operator==(const device_request&) const = default;
};

/// A weight (10 … 1000) or a rate (bytes or operations a second) of a block device.
struct device_rate {
    std::string path;
    std::int64_t rate = 0;

    bool operator==(const device_rate&) const = default;
};

struct blkio {
    std::int64_t weight = 0; // 10 … 1000; 0: not set
    std::vector<device_rate> weight_device;
    std::vector<device_rate> device_read_bps;
    std::vector<device_rate> device_read_iops;
    std::vector<device_rate> device_write_bps;
    std::vector<device_rate> device_write_iops;

    bool operator==(const blkio&) const = default;
};

} // namespace compose
