#include "compose/load/decode_limits.hpp"

#include "compose/load/tree_values.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace compose {

namespace {

/// Zero stands for nothing, as in Docker Compose.
std::optional<std::int64_t> limit_in(const node& map, std::string_view key) {
    const auto number = number_in(map, key);
    return number == 0 ? std::nullopt : number;
}

std::optional<std::int64_t> cpus_in(const node& map, std::string_view key) {
    constexpr double billionths = 1e9;
    constexpr double most = 1e6; // of which no machine has as many; what is more must not wrap around
    const double number = std::strtod(map.text_at(key).c_str(), nullptr);
    if (number == 0 || std::isnan(number))
        return std::nullopt;
    return std::llround(std::clamp(number, -1.0, most) * billionths);
}

void take(std::optional<std::int64_t>& into, std::optional<std::int64_t> given) {
    if (given)
        into = given;
}

std::vector<device_request> requests_in(const node& map, std::string_view key) {
    std::vector<device_request> made;
    if (const node* list = map.find(key))
        for (const node& each : list->items)
            made.push_back({.capabilities = texts_in(each, "capabilities"),
                .driver = each.text_at("driver"),
                .count = each.text_at("count") == "all" ? std::optional<std::int64_t>(-1)
                                                        : number_in(each, "count"),
                .device_ids = texts_in(each, "device_ids"),
                .options = options_in(each, "options")});
    return made;
}

limits limits_of(const node& from) {
    limits made{.memory = limit_in(from, "mem_limit"),
        .memory_swap = limit_in(from, "memswap_limit"),
        .memory_soft = limit_in(from, "mem_reservation"),
        .memory_swappiness = limit_in(from, "mem_swappiness"),
        .nano_cpus = cpus_in(from, "cpus"),
        .cpu_shares = limit_in(from, "cpu_shares"),
        .cpu_quota = limit_in(from, "cpu_quota"),
        .cpu_period = limit_in(from, "cpu_period"),
        .cpu_rt_runtime = limit_in(from, "cpu_rt_runtime"),
        .cpu_rt_period = limit_in(from, "cpu_rt_period"),
        .cpuset = from.text_at("cpuset"),
        .pids = limit_in(from, "pids_limit")};
    const node* deploy = from.find("deploy");
    const node* resources = deploy == nullptr ? nullptr : deploy->find("resources");
    if (const node* most = resources == nullptr ? nullptr : resources->find("limits")) {
        take(made.nano_cpus, cpus_in(*most, "cpus"));
        take(made.memory, limit_in(*most, "memory"));
        take(made.pids, limit_in(*most, "pids"));
    }
    // Of the reservations a single host has a use for the memory alone, as in Docker Compose.
    if (const node* least = resources == nullptr ? nullptr : resources->find("reservations"))
        take(made.memory_soft, limit_in(*least, "memory"));
    return made;
}

std::vector<device_request> all_requests(const node& from) {
    std::vector<device_request> made = requests_in(from, "gpus");
    for (device_request& each : made)
        each.capabilities.emplace_back("gpu");
    const node* deploy = from.find("deploy");
    const node* resources = deploy == nullptr ? nullptr : deploy->find("resources");
    if (const node* least = resources == nullptr ? nullptr : resources->find("reservations"))
        for (device_request& each : requests_in(*least, "devices"))
            made.push_back(std::move(each));
    return made;
}

std::map<std::string, ulimit> ulimits_of(const node& from) {
    std::map<std::string, ulimit> made;
    if (const node* all = from.find("ulimits"))
        for (const auto& [name, how] : all->entries) {
            const bool both = how.kind == node_kind::map;
            const std::int64_t soft =
                both ? number_in(how, "soft").value_or(0) : std::strtoll(how.text.c_str(), nullptr, 10);
            made[name] = {.soft = soft, .hard = both ? number_in(how, "hard").value_or(soft) : soft};
        }
    return made;
}

std::vector<device> devices_of(const node& from) {
    std::vector<device> made;
    if (const node* list = from.find("devices"))
        for (const node& each : list->items)
            made.push_back({.source = each.text_at("source"),
                .target = each.text_at("target"),
                .permissions = each.text_at("permissions")});
    return made;
}

std::vector<device_rate> rates_in(const node& map, std::string_view key, std::string_view value) {
    std::vector<device_rate> made;
    if (const node* list = map.find(key))
        for (const node& each : list->items)
            made.push_back({.path = each.text_at("path"), .rate = number_in(each, value).value_or(0)});
    return made;
}

blkio block_io_of(const node& from) {
    const node* own = from.find("blkio_config");
    if (own == nullptr)
        return {};
    return {.weight = number_in(*own, "weight").value_or(0),
        .weight_device = rates_in(*own, "weight_device", "weight"),
        .device_read_bps = rates_in(*own, "device_read_bps", "rate"),
        .device_read_iops = rates_in(*own, "device_read_iops", "rate"),
        .device_write_bps = rates_in(*own, "device_write_bps", "rate"),
        .device_write_iops = rates_in(*own, "device_write_iops", "rate")};
}

} // namespace

void take_limits(const node& from, service& into) {
    into.limit = limits_of(from);
    into.ulimits = ulimits_of(from);
    into.shm_size = limit_in(from, "shm_size");
    into.oom_score_adj = number_in<int>(from, "oom_score_adj").value_or(0);
    into.oom_kill_disable = switched(from, "oom_kill_disable");
    into.block_io = block_io_of(from);
    into.devices = devices_of(from);
    into.device_requests = all_requests(from);
    into.device_cgroup_rules = texts_in(from, "device_cgroup_rules");
    into.storage_opt = options_in(from, "storage_opt");
}

void take_surroundings(const node& from, service& into) {
    into.sysctls = options_in(from, "sysctls");
    into.group_add = texts_in(from, "group_add");
    into.ipc = from.text_at("ipc");
    into.pid = from.text_at("pid");
    into.uts = from.text_at("uts");
    into.cgroup = from.text_at("cgroup");
    into.cgroup_parent = from.text_at("cgroup_parent");
    into.userns_mode = from.text_at("userns_mode");
    into.runtime = from.text_at("runtime");
    into.isolation = from.text_at("isolation");
    into.credential_spec = from.find("credential_spec") != nullptr;
    into.use_api_socket = switched(from, "use_api_socket");
}

} // namespace compose
