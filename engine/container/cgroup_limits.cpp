#include "engine/container/cgroup_limits.hpp"

#include "compose/model/error.hpp"
#include "engine/container/oci_resources.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace engine {

namespace {

using amount = std::optional<std::int64_t>;

constexpr std::int64_t default_shares = 1024;
constexpr std::int64_t default_period = 100'000; // µs

/// What the limit says; `none` where there is no limit.
std::string text_of(const amount& of, std::string_view none) {
    return of && *of >= 0 ? std::to_string(*of) : std::string(none);
}

/// The conversion that the OCI runtimes agree on: 2 … 262144 to 1 … 10000.
std::int64_t weight_of(std::int64_t shares) {
    constexpr std::int64_t least = 2;
    constexpr std::int64_t most = 262'144;
    return 1 + (std::clamp(shares, least, most) - least) * 9999 / (most - least);
}

std::vector<cgroup_write> unified_files(const compose::limits& of) {
    const auto [quota, period] = cpu_time(of);
    const amount with_swap = memory_with_swap(of);
    const amount swap =
        with_swap && *with_swap >= 0 && of.memory ? amount(*with_swap - *of.memory) : amount();
    return {{"memory", "memory.max", text_of(of.memory, "max"), "mem_limit"},
        {"memory", "memory.swap.max", text_of(swap, "max"), "memswap_limit"},
        {"memory", "memory.low", text_of(of.memory_soft, "0"), "mem_reservation"},
        {"cpu", "cpu.max", fmt::format("{} {}", text_of(quota, "max"), period.value_or(default_period)),
            "cpus"},
        {"cpu", "cpu.weight", std::to_string(weight_of(of.cpu_shares.value_or(default_shares))),
            "cpu_shares"},
        {"cpuset", "cpuset.cpus", of.cpuset, "cpuset"},
        {"pids", "pids.max", text_of(of.pids, "max"), "pids_limit"}};
}

std::vector<cgroup_write> legacy_files(const compose::limits& of) {
    const auto [quota, period] = cpu_time(of);
    constexpr std::int64_t usual_swappiness = 60;
    return {{"memory", "memory.limit_in_bytes", text_of(of.memory, "-1"), "mem_limit"},
        {"memory", "memory.memsw.limit_in_bytes", text_of(memory_with_swap(of), "-1"), "memswap_limit"},
        {"memory", "memory.soft_limit_in_bytes", text_of(of.memory_soft, "-1"), "mem_reservation"},
        {"memory", "memory.swappiness", std::to_string(of.memory_swappiness.value_or(usual_swappiness)),
            "mem_swappiness"},
        {"cpu", "cpu.cfs_period_us", std::to_string(period.value_or(default_period)), "cpu_period"},
        {"cpu", "cpu.cfs_quota_us", text_of(quota, "-1"), "cpus"},
        {"cpu", "cpu.shares", std::to_string(of.cpu_shares.value_or(default_shares)), "cpu_shares"},
        {"cpu", "cpu.rt_period_us", text_of(of.cpu_rt_period, ""), "cpu_rt_period"},
        {"cpu", "cpu.rt_runtime_us", text_of(of.cpu_rt_runtime, ""), "cpu_rt_runtime"},
        {"cpuset", "cpuset.cpus", of.cpuset, "cpuset"},
        {"pids", "pids.max", text_of(of.pids, "max"), "pids_limit"}};
}

bool is_raised(const amount& before, const amount& after) {
    return before && *before >= 0 && (!after || *after < 0 || *after > *before);
}

} // namespace

std::vector<cgroup_write> changes_of_limits(
    const compose::limits& before, const compose::limits& after, cgroup_mode cgroups) {
    const bool unified = cgroups == cgroup_mode::unified;
    const std::vector<cgroup_write> old = unified ? unified_files(before) : legacy_files(before);
    std::vector<cgroup_write> fresh = unified ? unified_files(after) : legacy_files(after);
    if (!unified && is_raised(before.memory, after.memory))
        std::swap(fresh[0], fresh[1]);
    std::erase_if(fresh,
        [&](const cgroup_write& each) { return std::find(old.begin(), old.end(), each) != old.end(); });
    return fresh;
}

void write_limits(const container_cgroup& cgroup, const std::vector<cgroup_write>& changes) {
    for (const cgroup_write& each : changes) {
        // v1 refuses with EBUSY; v2 would end processes until it fits.
        if (each.file == "memory.max" && each.value != "max" && cgroup.memory_held() > std::stoll(each.value))
            throw compose::error(compose::error_kind::conflict,
                fmt::format(
                    "{} cannot be {} bytes while the container holds {}; `up --force-recreate` makes it "
                    "anew",
                    each.key, each.value, cgroup.memory_held()));
        try {
            cgroup.write(each.controller, each.file, each.value);
        } catch (const compose::error& failure) {
            throw compose::error(compose::error_kind::conflict,
                fmt::format(
                    "{} cannot be set while the container runs: {}; `up --force-recreate` makes it anew",
                    each.key, failure.what()));
        }
    }
}

} // namespace engine
