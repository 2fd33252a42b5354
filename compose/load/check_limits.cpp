#include "compose/load/check.hpp"

#include "compose/model/nearest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

namespace compose {

namespace {

constexpr std::int64_t least_memory = 6 << 20; // Docker's: below that no process comes to run

bool is_number_or_star(std::string_view text) {
    return text == "*" || (!text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos);
}

bool is_permissions(std::string_view text) {
    return !text.empty() && text.size() <= 3 && text.find_first_not_of("rwm") == std::string_view::npos;
}

/// "c 1:3 rwm" (cgroup v1's devices.allow). After "a" the kernel takes no heed of numbers: it is all devices.
bool is_device_rule(const std::string& text) {
    std::istringstream words(text);
    std::string type;
    std::string numbers;
    std::string access;
    std::string more;
    if (!(words >> type >> numbers >> access) || words >> more)
        return false;
    const auto colon = numbers.find(':');
    if (type == "a")
        return numbers == "*:*" && is_permissions(access);
    return (type == "b" || type == "c") && colon != std::string::npos &&
           is_number_or_star(std::string_view(numbers).substr(0, colon)) &&
           is_number_or_star(std::string_view(numbers).substr(colon + 1)) && is_permissions(access);
}

/// vendor.com/class=name, of the Container Device Interface.
bool is_cdi_name(const std::string& text) {
    const auto slash = text.find('/');
    const auto equals = text.find('=');
    return !text.starts_with('/') && slash != std::string::npos && equals != std::string::npos &&
           slash + 1 < equals && equals + 1 < text.size();
}

/// "0-2,4"
bool is_cpu_list(const std::string& text) {
    std::istringstream parts(text + ",");
    for (std::string part; std::getline(parts, part, ',');) {
        unsigned first = 0;
        unsigned last = 0;
        const char* const end = part.data() + part.size();
        auto [at, failed] = std::from_chars(part.data(), end, first);
        if (failed != std::errc())
            return false;
        if (at != end && (*at != '-' || std::from_chars(at + 1, end, last).ptr != end || last < first))
            return false;
    }
    return true;
}

/// Those that a namespace of the container has for itself; the others are the host's.
bool is_own_sysctl(const std::string& name) {
    static const std::set<std::string_view> known{"kernel.domainname", "kernel.hostname", "kernel.msgmax",
        "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
        "kernel.shm_rmid_forced"};
    return name.starts_with("net.") || name.starts_with("fs.mqueue.") || known.contains(name);
}

class limit_checker {
  public:
    limit_checker(const service& of, const report_fault& fail, const report_fault& warn)
        : of_(of), fail_(fail), warn_(warn) {}

    void run() {
        memory();
        cpus();
        ulimits();
        devices();
        block_io();
        namespaces();
        security();
        if (!of_.storage_opt.empty())
            fail("storage_opt", "\"{}\" is not supported: writable layers are folders without a quota",
                of_.storage_opt.begin()->first);
    }

  private:
    template <typename... Values>
    void fail(std::string_view key, fmt::format_string<Values...> message, Values&&... values) {
        fail_(std::string(key), fmt::format(message, std::forward<Values>(values)...));
    }

    void memory() {
        const limits& has = of_.limit;
        for (const auto& [key, value] :
            {std::pair("mem_limit", &has.memory), {"mem_reservation", &has.memory_soft}})
            if (*value && **value < least_memory)
                fail(key, "{} bytes are too few; the least is 6m", **value);
        if (has.memory_swap && *has.memory_swap != -1 && !has.memory)
            fail("memswap_limit", "counts memory and swap together, so it goes with mem_limit");
        if (has.memory_swap && *has.memory_swap != -1 && has.memory && *has.memory_swap < *has.memory)
            fail("memswap_limit", "counts memory and swap together, so it cannot be less than mem_limit");
        if (has.memory_soft && has.memory && *has.memory_soft > *has.memory)
            fail("mem_reservation", "cannot be more than mem_limit");
        if (has.memory_swappiness && (*has.memory_swappiness < 0 || *has.memory_swappiness > 100))
            fail("mem_swappiness", "{} is not between 0 and 100", *has.memory_swappiness);
        if (of_.shm_size && *of_.shm_size < 0)
            fail("shm_size", "{} is negative", *of_.shm_size);
    }

    void cpus() {
        const limits& has = of_.limit;
        constexpr std::int64_t least_time = 1000; // µs, the kernel's
        constexpr std::int64_t longest_period = 1'000'000;
        if (has.nano_cpus && *has.nano_cpus < 0)
            fail("cpus", "cannot be negative; leave it out for no limit");
        if (has.nano_cpus && (has.cpu_quota || has.cpu_period))
            fail("cpus", "is cpu_quota and cpu_period in one; give it or them");
        if (has.cpu_period && (*has.cpu_period < least_time || *has.cpu_period > longest_period))
            fail("cpu_period", "{} is not between 1000 and 1000000 (µs)", *has.cpu_period);
        if (has.cpu_quota && *has.cpu_quota != -1 && *has.cpu_quota < least_time)
            fail("cpu_quota", "{} µs are too few; the least is 1000", *has.cpu_quota);
        if (has.cpu_shares && *has.cpu_shares < 0)
            fail("cpu_shares", "{} is negative", *has.cpu_shares);
        if (!has.cpuset.empty() && !is_cpu_list(has.cpuset))
            fail("cpuset", "\"{}\" is no list of CPUs; write it like 0-2,4", has.cpuset);
        if (has.pids && *has.pids < -1)
            fail("pids_limit", "{} is no number of processes; -1 is no limit", *has.pids);
    }

    void ulimits() {
        static const std::set<std::string_view> known{"as", "core", "cpu", "data", "fsize", "locks",
            "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending",
            "stack"};
        for (const auto& [name, limit] : of_.ulimits) {
            const std::string key = "ulimits." + name;
            const std::string meant = did_you_mean(name, {known.begin(), known.end()});
            if (!known.contains(name))
                fail(key, "there is no such limit{}",
                    meant.empty() ? "; see setrlimit(2) for the names" : meant);
            if (limit.hard < -1 || limit.soft < -1)
                fail(key, "cannot be negative; -1 is no limit");
            else if (limit.hard >= 0 && (limit.soft < 0 || limit.soft > limit.hard))
                fail(key, "soft cannot be more than hard");
        }
    }

    void devices() {
        for (std::size_t index = 0; index < of_.devices.size(); ++index) {
            const device& each = of_.devices[index];
            const std::string key = fmt::format("devices[{}]", index);
            if (!each.source.starts_with('/') && !is_cdi_name(each.source))
                fail(key, "\"{}\" is neither an absolute path nor a CDI name like vendor.com/class=name",
                    each.source);
            if (each.source.starts_with('/') && !each.target.empty() && !each.target.starts_with('/'))
                fail(key, "\"{}\" is not an absolute path", each.target);
            if (!each.permissions.empty() && !is_permissions(each.permissions))
                fail(key, "\"{}\" are no permissions; they are of r, w and m", each.permissions);
        }
        for (std::size_t index = 0; index < of_.device_cgroup_rules.size(); ++index)
            if (!is_device_rule(of_.device_cgroup_rules[index]))
                fail(fmt::format("device_cgroup_rules[{}]", index),
                    "\"{}\" is no rule; write TYPE MAJOR:MINOR ACCESS, like c 1:3 mr or a *:* rwm",
                    of_.device_cgroup_rules[index]);
    }

    void block_io() {
        constexpr std::int64_t least_weight = 10;
        constexpr std::int64_t most_weight = 1000;
        const blkio& has = of_.block_io;
        const auto weight = [&](const std::string& key, std::int64_t value) {
            if (value < least_weight || value > most_weight)
                fail(key, "{} is not between 10 and 1000", value);
        };
        if (has.weight != 0)
            weight("blkio_config.weight", has.weight);
        for (const device_rate& each : has.weight_device)
            weight("blkio_config.weight_device", each.rate);
        for (const auto& [key, rates] :
            {std::pair("device_read_bps", &has.device_read_bps), {"device_read_iops", &has.device_read_iops},
                {"device_write_bps", &has.device_write_bps}, {"device_write_iops", &has.device_write_iops}})
            for (const device_rate& each : *rates)
                if (!each.path.starts_with('/') || each.rate <= 0)
                    fail(fmt::format("blkio_config.{}", key),
                        "needs the absolute path of a device and a rate above 0");
    }

    void mode(std::string_view key, const std::string& value, const std::set<std::string_view>& words) {
        const bool joinable = key == "ipc" || key == "pid";
        const bool joins = joinable && ((value.starts_with("service:") && value.size() > 8) ||
                                           (value.starts_with("container:") && value.size() > 10));
        if (value.empty() || joins || words.contains(value))
            return;
        fail(key, "\"{}\" is not known; there {} {}{}{}", value, words.size() > 1 || joinable ? "are" : "is",
            fmt::join(words, ", "), joinable ? ", service:NAME and container:NAME" : "",
            did_you_mean(value, {words.begin(), words.end()}));
    }

    void namespaces() {
        mode("ipc", of_.ipc, {"host", "none", "private", "shareable"});
        mode("pid", of_.pid, {"host"});
        mode("uts", of_.uts, {"host"});
        mode("userns_mode", of_.userns_mode, {"host"});
        if (of_.uts == "host" && !of_.hostname.empty())
            fail("hostname", "is the host's with uts: host; leave one of them out");
        if (of_.uts == "host" && !of_.domainname.empty())
            fail("domainname", "is the host's with uts: host; leave one of them out");
        for (const auto& [name, value] : of_.sysctls)
            if (value.empty())
                fail("sysctls." + name, "has no value");
            else if (name == "kernel.hostname")
                fail("sysctls." + name, "is what hostname says; write that");
            else if (name == "kernel.domainname" && (of_.uts == "host" || !of_.domainname.empty()))
                fail("sysctls." + name, "is what domainname says; leave one of them out{}",
                    of_.uts == "host" ? ", and that with uts: host" : "");
            else if (!is_own_sysctl(name))
                fail("sysctls." + name,
                    "is one of the host's, not of a container; set it there with sysctl(8)");
            else if (name.starts_with("net.") && of_.network_mode == "host")
                fail("sysctls." + name, "cannot be set on the host's network");
            else if (!name.starts_with("net.") && of_.ipc == "host" && !name.ends_with("name"))
                fail("sysctls." + name, "cannot be set with ipc: host");
        if (of_.cgroup_parent.find("..") != std::string::npos)
            fail("cgroup_parent", "\"{}\" leads up; name it from the root of the hierarchy",
                of_.cgroup_parent);
        if (!of_.isolation.empty() && of_.isolation != "default")
            fail("isolation", "\"{}\" is of Windows; this engine knows default", of_.isolation);
        if (of_.credential_spec)
            fail("credential_spec", "is of Windows; Linux containers have no use for it");
    }

    void security() {
        if (of_.privileged && !of_.cap_drop.empty())
            warn_("cap_drop", "has no effect with privileged: true, which has all capabilities");
        static const std::set<std::string_view> known{
            "apparmor", "label", "no-new-privileges", "seccomp", "systempaths"};
        for (std::size_t index = 0; index < of_.security_opt.size(); ++index) {
            const std::string& option = of_.security_opt[index];
            const auto split = std::min(option.find_first_of("=:"), option.size());
            const std::string key = option.substr(0, split);
            const std::string value = option.substr(std::min(split + 1, option.size()));
            const bool fits = key == "no-new-privileges"
                                  ? value.empty() || value == "true" || value == "false"
                              : key == "systempaths" ? value == "unconfined"
                                                     : !value.empty();
            if (!known.contains(key) || !fits)
                fail(fmt::format("security_opt[{}]", index),
                    "\"{}\" is not known; there are no-new-privileges[=true|false], seccomp=FILE|unconfined, "
                    "apparmor=PROFILE, label=…, systempaths=unconfined{}",
                    option.substr(0, 40),
                    known.contains(key) ? std::string() : did_you_mean(key, {known.begin(), known.end()}));
        }
    }

    const service& of_;
    const report_fault& fail_;
    const report_fault& warn_;
};

} // namespace

void check_limits(const service& of, const report_fault& fail, const report_fault& warn) {
    limit_checker(of, fail, warn).run();
}

} // namespace compose
