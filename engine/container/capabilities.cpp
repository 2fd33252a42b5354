#include "engine/container/capabilities.hpp"

#include "compose/model/error.hpp"
#include "compose/model/nearest.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>

namespace engine {

namespace {

// linux/capability.h, in the order of their numbers.
constexpr std::array<std::string_view, 41> known{"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER",
    "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE",
    "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
    "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM",
    "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"};

// moby's oci/caps/defaults.go.
constexpr std::array<std::string_view, 14> defaults{"CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD",
    "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL",
    "AUDIT_WRITE"};

constexpr std::string_view everything = "ALL";

std::vector<std::string> normalised(std::string_view key, const std::vector<std::string>& names) {
    std::vector<std::string> result;
    for (std::string name : names) {
        for (char& letter : name)
            letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
        if (name.starts_with("CAP_"))
            name.erase(0, 4);
        if (name != everything && std::find(known.begin(), known.end(), name) == known.end())
            throw compose::error(compose::error_kind::invalid,
                fmt::format("{}: capability \"{}\" does not exist{}: see capabilities(7) for the names", key,
                    name, compose::did_you_mean(name, {known.begin(), known.end()})));
        result.push_back(std::move(name));
    }
    return result;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

} // namespace

std::vector<std::string> effective_capabilities(const std::vector<std::string>& add,
    const std::vector<std::string>& drop, bool privileged, std::uint64_t grantable) {
    const std::vector<std::string> added = normalised("cap_add", add);
    const std::vector<std::string> dropped = normalised("cap_drop", drop);
    std::set<std::string_view> chosen;
    if (privileged || has(added, everything)) {
        for (std::size_t number = 0; number < known.size(); ++number)
            if ((grantable >> number & 1U) != 0)
                chosen.insert(known[number]);
    } else if (!has(dropped, everything)) {
        chosen.insert(defaults.begin(), defaults.end());
    }
    if (!privileged) {
        for (const std::string& name : dropped)
            if (!has(added, name))
                chosen.erase(name);
        for (const std::string& name : added)
            if (name != everything)
                chosen.insert(name);
    }
    std::vector<std::string> result;
    result.reserve(chosen.size());
    for (const std::string_view name : chosen)
        result.push_back(fmt::format("CAP_{}", name));
    return result;
}

std::uint64_t grantable_capabilities() {
    static const std::uint64_t bounding = [] {
        const std::string status = read_file("/proc/self/status");
        constexpr std::string_view key = "CapBnd:\t";
        const auto at = status.find(key);
        return at == std::string::npos ? ~std::uint64_t{0}
                                       : std::stoull(status.substr(at + key.size(), 16), nullptr, 16);
    }();
    return bounding;
}

} // namespace engine
