#include "engine/project/launch_surroundings.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>

#include <string_view>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

/// KEY=VALUE of security_opt, or KEY:VALUE as Docker once wrote it.
void apply_security(container_spec& spec, const compose::service& service, const std::string& option) {
    const auto split = option.find_first_of("=:");
    const std::string key = option.substr(0, split);
    const std::string value = split == std::string::npos ? "" : option.substr(split + 1);
    if (key == "no-new-privileges")
        spec.no_new_privileges = value != "false";
    else if (key == "seccomp" && value == "unconfined")
        spec.seccomp_unconfined = true;
    else if (key == "seccomp")
        spec.seccomp_profile = value;
    else if (key == "systempaths" && value == "unconfined")
        spec.paths_unconfined = true;
    else if (key == "apparmor")
        spec.apparmor_profile = value == "unconfined" ? "" : value;
    else if (key == "label" && value != "disable")
        spec.selinux_label += spec.selinux_label.empty() ? value : "," + value;
    else if (key != "label")
        throw error(error_kind::invalid,
            fmt::format("service \"{}\": security_opt \"{}\" is not known", service.name, option));
}

/// "user:U", "role:R", "type:T" and "level:L" make U:R:T:L; what is not given is that of containers-selinux.
std::string selinux_label_of(const std::string& parts) {
    if (parts.empty())
        return {};
    const auto part = [&](std::string_view name, std::string_view usual) {
        const auto found = parts.find(fmt::format("{}:", name));
        if (found == std::string::npos)
            return std::string(usual);
        const auto begin = found + name.size() + 1;
        return parts.substr(begin, std::min(parts.find(',', begin), parts.size()) - begin);
    };
    return fmt::format("{}:{}:{}:{}", part("user", "system_u"), part("role", "system_r"),
        part("type", "container_t"), part("level", "s0"));
}

} // namespace

std::string joined_by(const std::string& mode) {
    return mode.starts_with("service:") || mode.starts_with("container:") ? mode.substr(mode.find(':') + 1)
                                                                          : std::string();
}

void refuse_own_users(const compose::service& service) {
    if (service.userns_mode == "host")
        return;
    std::string key;
    if (service.privileged)
        key = "privileged: true";
    if (service.use_api_socket) // it is root's of the host, who is nobody inside
        key = "use_api_socket: true";
    for (const auto& [name, value] : {std::pair("network_mode", service.network_mode),
             std::pair("pid", service.pid), std::pair("ipc", service.ipc)})
        if (value == "host")
            key = fmt::format("{}: host", name);
    if (!key.empty())
        throw error(error_kind::invalid, fmt::format("services.{}: {} is not possible in the user namespace "
                                                     "that containers have here (userns_remap); add "
                                                     "userns_mode: host",
                                             service.name, key));
}

void apply_surroundings(container_spec& spec, const compose::service& service) {
    spec.privileged = service.privileged;
    spec.cap_add = service.cap_add;
    spec.cap_drop = service.cap_drop;
    for (const std::string& option : service.security_opt)
        apply_security(spec, service, option);
    spec.selinux_label = selinux_label_of(spec.selinux_label);
    spec.group_add = service.group_add;
    spec.sysctls = service.sysctls;
    if (const auto domain = spec.sysctls.extract("kernel.domainname"))
        spec.domainname = domain.mapped(); // which is there in user namespaces too
    spec.limits = service.limit;
    spec.block_io = service.block_io;
    spec.oom_kill_disable = service.oom_kill_disable;
    spec.oom_score_adj = service.oom_score_adj;
    if (service.shm_size)
        spec.shm_size = *service.shm_size;
    for (const auto& [name, limit] : service.ulimits)
        spec.rlimits.push_back({.name = name, .soft = limit.soft, .hard = limit.hard});
    spec.cdi_requests = service.device_requests;
    for (const compose::device& each : service.devices)
        if (!each.source.starts_with('/'))
            spec.cdi_devices.push_back(each.source);
        else
            spec.devices.push_back({.source = each.source,
                .path = each.target.empty() ? each.source : each.target,
                .permissions = each.permissions.empty() ? "rwm" : each.permissions});
    spec.device_rules = service.device_cgroup_rules;
    spec.host_pid = service.pid == "host";
    spec.host_ipc = service.ipc == "host";
    spec.no_shared_memory = service.ipc == "none";
    spec.host_uts = service.uts == "host";
    spec.host_users = service.userns_mode == "host";
    if (!service.cgroup.empty())
        spec.own_cgroups = service.cgroup == "private";
}

} // namespace engine
