#include "engine/container/oci_resources.hpp"

#include "compose/model/error.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <charconv>
#include <sstream>
#include <string>
#include <string_view>

namespace engine {

namespace json = boost::json;

namespace {

constexpr std::int64_t default_period = 100'000; // µs; the kernel's and Docker's
constexpr std::int64_t billionths = 1'000'000'000;

json::object device_rule(
    bool allow, const char* type, std::int64_t major, std::int64_t minor, const std::string& access) {
    json::object out{{"allow", allow}, {"access", access}};
    if (type != nullptr)
        out["type"] = type;
    if (major >= 0)
        out["major"] = major;
    if (minor >= 0)
        out["minor"] = minor;
    return out;
}

/// "c 1:3 rwm", with * for a number.
json::object parsed_rule(const std::string& text) {
    std::istringstream words(text);
    std::string type;
    std::string numbers;
    std::string access;
    words >> type >> numbers >> access;
    const auto colon = numbers.find(':');
    const auto number = [&](std::string_view part) {
        std::int64_t value = -1;
        const auto [end, failed] = std::from_chars(part.data(), part.data() + part.size(), value);
        if (part != "*" && (failed != std::errc() || end != part.data() + part.size()))
            throw compose::error(compose::error_kind::invalid,
                fmt::format("device_cgroup_rules: \"{}\": write TYPE MAJOR:MINOR rwm, like c 1:3 mr", text));
        return value;
    };
    const std::string_view both = numbers;
    const std::int64_t major = number(both.substr(0, colon));
    const std::int64_t minor = number(colon == std::string::npos ? "" : both.substr(colon + 1));
    return device_rule(true, type == "a" ? nullptr : type == "b" ? "b" : "c", major, minor, access);
}

// moby's oci/defaults.go: mknod of anything, use of the harmless ones.
json::array device_rules(const container_spec& spec, const oci_host& host) {
    if (spec.privileged)
        return json::array{device_rule(true, nullptr, -1, -1, "rwm")};
    json::array rules{device_rule(false, nullptr, -1, -1, "rwm")};
    rules.push_back(device_rule(true, "c", -1, -1, "m"));
    rules.push_back(device_rule(true, "b", -1, -1, "m"));
    constexpr int memory_devices[] = {3, 5, 7, 8, 9}; // null, zero, full, random, urandom
    for (const int minor : memory_devices)
        rules.push_back(device_rule(true, "c", 1, minor, "rwm"));
    rules.push_back(device_rule(true, "c", 5, 0, "rwm"));    // tty
    rules.push_back(device_rule(true, "c", 5, 1, "rwm"));    // console
    rules.push_back(device_rule(true, "c", 5, 2, "rwm"));    // ptmx
    rules.push_back(device_rule(true, "c", 136, -1, "rwm")); // pts
    for (const device_node& each : host.devices)
        rules.push_back(
            device_rule(true, each.type == 'b' ? "b" : "c", each.major, each.minor, each.permissions));
    for (const std::string& each : spec.device_rules)
        rules.push_back(parsed_rule(each));
    return rules;
}

template <typename Value>
void set(json::object& in, std::string_view name, const std::optional<Value>& value) {
    if (value)
        in[name] = *value;
}

json::object memory_object(const container_spec& spec) {
    json::object memory;
    set(memory, "limit", spec.limits.memory);
    set(memory, "swap", memory_with_swap(spec.limits));
    set(memory, "reservation", spec.limits.memory_soft);
    set(memory, "swappiness", spec.limits.memory_swappiness);
    if (spec.oom_kill_disable)
        memory["disableOOMKiller"] = true;
    return memory;
}

json::object cpu_object(const compose::limits& limits) {
    json::object cpu;
    const auto [quota, period] = cpu_time(limits);
    set(cpu, "shares", limits.cpu_shares);
    if (quota.value_or(-1) > 0) // crun writes another -1 than the kernel's; a new cgroup has no limit anyway
        cpu["quota"] = *quota;
    set(cpu, "period", period);
    set(cpu, "realtimeRuntime", limits.cpu_rt_runtime);
    set(cpu, "realtimePeriod", limits.cpu_rt_period);
    if (!limits.cpuset.empty())
        cpu["cpus"] = limits.cpuset;
    return cpu;
}

json::object block_io_object(const compose::blkio& of, const oci_host& host) {
    json::object out;
    if (of.weight != 0)
        out["weight"] = of.weight;
    const auto list = [&](const char* name, const char* value,
                          const std::vector<compose::device_rate>& rates) {
        json::array made;
        for (const compose::device_rate& each : rates) {
            const auto found = host.block_devices.find(each.path);
            if (found != host.block_devices.end())
                made.push_back(json::object{
                    {"major", found->second.first}, {"minor", found->second.second}, {value, each.rate}});
        }
        if (!made.empty())
            out[name] = std::move(made);
    };
    list("weightDevice", "weight", of.weight_device);
    list("throttleReadBpsDevice", "rate", of.device_read_bps);
    list("throttleReadIOPSDevice", "rate", of.device_read_iops);
    list("throttleWriteBpsDevice", "rate", of.device_write_bps);
    list("throttleWriteIOPSDevice", "rate", of.device_write_iops);
    return out;
}

} // namespace

std::pair<std::optional<std::int64_t>, std::optional<std::int64_t>> cpu_time(const compose::limits& of) {
    if (!of.nano_cpus)
        return {of.cpu_quota, of.cpu_period};
    return {*of.nano_cpus * default_period / billionths, default_period};
}

std::optional<std::int64_t> memory_with_swap(const compose::limits& of) {
    if (of.memory_swap || !of.memory)
        return of.memory_swap;
    return *of.memory * 2;
}

json::object oci_resources(const container_spec& spec, const oci_host& host) {
    json::object out{{"devices", device_rules(spec, host)}};
    const auto add = [&](const char* name, json::object part) {
        if (!part.empty())
            out[name] = std::move(part);
    };
    add("memory", memory_object(spec));
    add("cpu", cpu_object(spec.limits));
    add("blockIO", block_io_object(spec.block_io, host));
    if (spec.limits.pids.value_or(-1) > 0) // as with the quota: crun writes "-1", which the kernel refuses
        out["pids"] = json::object{{"limit", *spec.limits.pids}};
    return out;
}

} // namespace engine
