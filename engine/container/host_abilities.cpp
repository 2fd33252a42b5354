#include "engine/container/host_abilities.hpp"

#include "compose/model/error.hpp"
#include "engine/system/child_process.hpp"
#include "engine/system/file.hpp"
#include "engine/system/mount.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <thread>

namespace engine {

namespace fs = std::filesystem;

namespace {

const fs::path root = "/sys/fs/cgroup";

template <typename Number>
Number number_in(const fs::path& file) {
    const std::string text = read_file(file);
    Number value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::int64_t own_hard_limit(const std::string& name) {
    static constexpr std::array<std::pair<std::string_view, __rlimit_resource>, 16> known{
        {{"as", RLIMIT_AS}, {"core", RLIMIT_CORE}, {"cpu", RLIMIT_CPU}, {"data", RLIMIT_DATA},
            {"fsize", RLIMIT_FSIZE}, {"locks", RLIMIT_LOCKS}, {"memlock", RLIMIT_MEMLOCK},
            {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE}, {"nofile", RLIMIT_NOFILE},
            {"nproc", RLIMIT_NPROC}, {"rss", RLIMIT_RSS}, {"rtprio", RLIMIT_RTPRIO},
            {"rttime", RLIMIT_RTTIME}, {"sigpending", RLIMIT_SIGPENDING}, {"stack", RLIMIT_STACK}}};
    for (const auto& [candidate, resource] : known) {
        if (candidate != name)
            continue;
        rlimit limit{};
        ::getrlimit(resource, &limit);
        return limit.rlim_max == RLIM_INFINITY ? -1 : static_cast<std::int64_t>(limit.rlim_max);
    }
    throw compose::error(compose::error_kind::invalid,
        fmt::format("ulimit \"{}\" does not exist: see setrlimit(2) for the names", name));
}

/// Whether the cgroups below the root of a hierarchy have a file; many are not in the root itself.
bool has_file(const fs::path& hierarchy, std::string_view name) {
    std::error_code ignored;
    if (fs::exists(hierarchy / name, ignored))
        return true;
    bool any = false;
    for (const fs::directory_entry& entry : fs::directory_iterator(hierarchy, ignored)) {
        if (!entry.is_directory(ignored))
            continue;
        any = true;
        if (fs::exists(entry.path() / name, ignored))
            return true;
    }
    return !any && fs::exists(hierarchy, ignored); // nothing says that it is not there
}

/// Of cgroup v1, where every cgroup has the files of its hierarchy: one that is made for a moment tells.
bool has_legacy_file(const fs::path& hierarchy, std::string_view name) {
    std::error_code ignored;
    const fs::path probe = hierarchy / fmt::format("composed-probe-{}", ::getpid());
    if (!fs::create_directory(probe, ignored))
        return has_file(hierarchy, name);
    const bool found = fs::exists(probe / name, ignored);
    fs::remove(probe, ignored); // not remove_all(), which would begin with its files
    return found;
}

bool reads(const fs::path& file, char yes) {
    return read_file_if_there(file, 64).value_or("").starts_with(yes);
}

/// The numbers of "0-2,4"; nothing that is none of these.
std::vector<unsigned> numbers_of(const std::string& ranges) {
    std::vector<unsigned> numbers;
    std::istringstream parts(ranges);
    for (std::string part; std::getline(parts, part, ',');) {
        unsigned first = 0;
        const auto [end, failed] = std::from_chars(part.data(), part.data() + part.size(), first);
        unsigned last = first;
        if (failed == std::errc() && end != part.data() + part.size() && *end == '-')
            std::from_chars(end + 1, part.data() + part.size(), last);
        constexpr unsigned most = 8192; // the kernel's NR_CPUS at its largest
        for (unsigned each = first; failed == std::errc() && each <= std::min(last, most); ++each)
            numbers.push_back(each);
    }
    return numbers;
}

/// What follows is one rule after the other; each may add to `notes`.
class fitter {
  public:
    fitter(container_spec& spec, const host_abilities& host) : spec_(spec), host_(host) {}

    std::vector<std::string> run() {
        memory();
        cpus();
        block_io();
        process();
        security();
        if (!spec_.domainname.empty() && host_.own_users && !spec_.host_users && !host_.domain_of_own_users)
            notes_.emplace_back("domainname has no effect with runc before 1.2 where containers have user "
                                "namespaces (userns_remap): crun sets it");
        return std::move(notes_);
    }

  private:
    template <typename Value>
    void drop(Value& value, const Value& none, std::string_view key, std::string_view why) {
        if (value == none)
            return;
        value = none;
        notes_.push_back(fmt::format("{} has no effect: {}", key, why));
    }

    std::string_view version_of_cgroups() const {
        return host_.cgroups == cgroup_mode::unified ? "this host has cgroup v2, which knows no such limit"
                                                     : "the kernel of this host has no such limit";
    }

    void memory() {
        compose::limits& limits = spec_.limits;
        if (!host_.swap_limit)
            drop(limits.memory_swap, {}, "memswap_limit", "the kernel does not count swap (swapaccount=1)");
        if (!host_.swappiness)
            drop(limits.memory_swappiness, {}, "mem_swappiness", version_of_cgroups());
        if (!host_.oom_kill_disable)
            drop(spec_.oom_kill_disable, false, "oom_kill_disable", version_of_cgroups());
    }

    void cpus() {
        compose::limits& limits = spec_.limits;
        if (!host_.realtime) {
            const std::string why = host_.cgroups == cgroup_mode::unified
                                        ? std::string(version_of_cgroups())
                                        : "the cgroup of this daemon has no real-time budget: write one to "
                                          "its cpu.rt_runtime_us and "
                                          "start it anew";
            drop(limits.cpu_rt_runtime, {}, "cpu_rt_runtime", why);
            drop(limits.cpu_rt_period, {}, "cpu_rt_period", why);
        }
        constexpr std::int64_t least_nano_cpus = 10'000'000; // of a period of 100 ms the kernel's least quota
        if (limits.nano_cpus && *limits.nano_cpus > 0 && *limits.nano_cpus < least_nano_cpus) {
            limits.nano_cpus = least_nano_cpus;
            notes_.emplace_back("cpus is raised to 0.01, the least that there is");
        }
        constexpr double billionths = 1e9;
        if (limits.nano_cpus && static_cast<double>(*limits.nano_cpus) / billionths > host_.cpus)
            notes_.push_back(fmt::format("cpus: {:g} is no limit on this host, which has {}",
                static_cast<double>(*limits.nano_cpus) / billionths, host_.cpus));
        if (limits.cpuset.empty())
            return;
        const std::string there = read_file_if_there("/sys/devices/system/cpu/online", 4096).value_or("");
        const std::vector<unsigned> online = numbers_of(there);
        for (const unsigned each : numbers_of(limits.cpuset))
            if (!online.empty() && std::find(online.begin(), online.end(), each) == online.end())
                throw compose::error(compose::error_kind::invalid,
                    fmt::format("cpuset: \"{}\" names CPU {}, which this host does not have; it has {}",
                        limits.cpuset, each, there.substr(0, there.find('\n'))));
    }

    void block_io() {
        compose::blkio& io = spec_.block_io;
        if (!host_.io_weight) {
            constexpr std::string_view why =
                "the kernel shares out no block devices by weight (BFQ, io.cost)";
            drop(io.weight, std::int64_t{0}, "blkio_config.weight", why);
            drop(io.weight_device, {}, "blkio_config.weight_device", why);
        }
        if (!host_.io_rates) {
            constexpr std::string_view why = "the kernel does not limit the rates of block devices";
            drop(io.device_read_bps, {}, "blkio_config.device_read_bps", why);
            drop(io.device_read_iops, {}, "blkio_config.device_read_iops", why);
            drop(io.device_write_bps, {}, "blkio_config.device_write_bps", why);
            drop(io.device_write_iops, {}, "blkio_config.device_write_iops", why);
        }
    }

    void process() {
        if (spec_.oom_score_adj < host_.lowest_oom_score_adj) {
            notes_.push_back(
                fmt::format("oom_score_adj: {} is raised to {}, the daemon's own: it has no CAP_SYS_RESOURCE",
                    spec_.oom_score_adj, host_.lowest_oom_score_adj));
            spec_.oom_score_adj = host_.lowest_oom_score_adj;
        }
        for (resource_limit& each : spec_.rlimits) {
            const auto [most, whose] = most_of(each.name);
            if (most < 0 || (each.hard >= 0 && each.hard <= most))
                continue;
            notes_.push_back(fmt::format("ulimits.{}: {} is lowered to {}, {}", each.name,
                each.hard < 0 ? "unlimited" : std::to_string(each.hard), most, whose));
            each.hard = most;
            each.soft = each.soft < 0 ? most : std::min(each.soft, most);
        }
    }

    /// The highest limit that the runtime can set, and whose it is; negative: any.
    std::pair<std::int64_t, std::string_view> most_of(const std::string& limit) const {
        const std::int64_t own = host_.hard_limit(limit); // which throws for a name that there is none of
        if (!host_.can_raise_limits)
            return {own, "the hard limit of the daemon, which has no CAP_SYS_RESOURCE"};
        // In a user namespace the runtime has no right over the host's limits either.
        if (host_.own_users && !spec_.host_users)
            return {
                own, "the hard limit of the daemon, which a container with a user namespace cannot exceed"};
        if (limit == "nofile") // also for root: kernel/sys.c, do_prlimit
            return {host_.most_open_files, "fs.nr_open of this host"};
        return {-1, {}};
    }

    void security() {
        if (!host_.apparmor)
            drop(spec_.apparmor_profile, {}, "security_opt apparmor", "this host does not run AppArmor");
        if (!host_.selinux)
            drop(spec_.selinux_label, {}, "security_opt label", "this host does not run SELinux");
    }

    container_spec& spec_;
    const host_abilities& host_;
    std::vector<std::string> notes_;
};

} // namespace

host_abilities look_at_host(cgroup_mode cgroups) {
    host_abilities found;
    found.cgroups = cgroups;
    found.cpus = std::max(1U, std::thread::hardware_concurrency());
    if (cgroups == cgroup_mode::unified) {
        found.swap_limit = has_file(root, "memory.swap.max");
        found.io_weight = has_file(root, "io.weight") || has_file(root, "io.bfq.weight");
        found.io_rates = has_file(root, "io.max");
    } else {
        found.swap_limit = has_legacy_file(root / "memory", "memory.memsw.limit_in_bytes");
        found.swappiness = has_legacy_file(root / "memory", "memory.swappiness");
        found.oom_kill_disable = has_legacy_file(root / "memory", "memory.oom_control");
        found.realtime = has_legacy_file(root / "cpu", "cpu.rt_runtime_us");
        // Not blkio.bfq.weight, which crun does not write.
        found.io_weight = has_legacy_file(root / "blkio", "blkio.weight");
        found.io_rates = has_legacy_file(root / "blkio", "blkio.throttle.read_bps_device");
    }
    found.apparmor = reads("/sys/module/apparmor/parameters/enabled", 'Y');
    found.selinux = runs_selinux();
    found.can_raise_limits = has_sys_resource();
    found.most_open_files = number_in<std::int64_t>("/proc/sys/fs/nr_open");
    found.lowest_oom_score_adj = found.can_raise_limits ? -1000 : number_in<int>("/proc/self/oom_score_adj");
    found.hard_limit = own_hard_limit;
    return found;
}

std::vector<std::string> fit_to_host(container_spec& spec, const host_abilities& host) {
    return fitter(spec, host).run();
}

} // namespace engine
