#include "engine/container/oci_spec.hpp"

#include "compose/model/error.hpp"
#include "engine/container/capabilities.hpp"
#include "engine/container/oci_mounts.hpp"
#include "engine/container/oci_resources.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

namespace engine {

namespace json = boost::json;

namespace {

constexpr std::string_view default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// moby's oci/defaults.go.
constexpr const char* masked_paths[] = {"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore",
    "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
    "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"};
constexpr const char* readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

// A working directory below /proc/self/fd is how CVE-2024-21626 left the container.
void check_working_directory(const std::string& cwd) {
    if (!cwd.starts_with('/'))
        throw compose::error(compose::error_kind::invalid,
            fmt::format("working directory \"{}\" is not an absolute path", cwd));
    if (cwd == "/proc" || cwd.starts_with("/proc/"))
        throw compose::error(compose::error_kind::invalid,
            fmt::format("working directory \"{}\" lies below /proc: choose another", cwd));
}

void check_environment(const std::vector<std::string>& env) {
    for (const std::string& entry : env)
        if (entry.find('=') == std::string::npos || entry.starts_with('=') ||
            entry.find('\0') != std::string::npos)
            throw compose::error(compose::error_kind::invalid,
                fmt::format("environment entry \"{}\" is not NAME=VALUE", entry.substr(0, entry.find('='))));
}

void add_missing(std::vector<std::string>& env, std::string_view name, std::string_view value) {
    const std::string prefix = fmt::format("{}=", name);
    if (std::none_of(
            env.begin(), env.end(), [&](const std::string& each) { return each.starts_with(prefix); }))
        env.push_back(prefix + std::string(value));
}

json::array strings(const std::vector<std::string>& values) {
    return json::array(values.begin(), values.end());
}

json::object user_object(const resolved_user& user) {
    json::object out{{"uid", user.uid}, {"gid", user.gid}};
    if (!user.groups.empty())
        out["additionalGids"] = json::array(user.groups.begin(), user.groups.end());
    return out;
}

// As in Docker: a user other than root has them in the bounding set only, for programs with file
// capabilities.
json::object capability_object(const std::vector<std::string>& names, std::uint32_t uid) {
    const json::array all = strings(names);
    json::object out{{"bounding", all}};
    if (uid == 0) {
        out["effective"] = all;
        out["permitted"] = all;
    }
    return out;
}

json::array rlimit_array(const container_spec& spec) {
    json::array out;
    for (const resource_limit& limit : spec.rlimits) {
        const auto value = [](std::int64_t number) {
            return number < 0 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(number);
        };
        std::string name = "RLIMIT_" + limit.name;
        std::transform(name.begin(), name.end(), name.begin(),
            [](char letter) { return static_cast<char>(std::toupper(static_cast<unsigned char>(letter))); });
        out.push_back(json::object{{"type", name}, {"soft", value(limit.soft)}, {"hard", value(limit.hard)}});
    }
    return out;
}

json::object process_object(const container_spec& spec, const resolved_user& user, const oci_host& host) {
    check_working_directory(spec.cwd);
    check_environment(spec.env);
    if (spec.args.empty() || spec.args.front().empty())
        throw compose::error(
            compose::error_kind::invalid, "no command: the image has none, so the service must name one");
    std::vector<std::string> args = spec.args;
    if (spec.init)
        args.insert(args.begin(), {std::string(init_path), std::string("--")});
    std::vector<std::string> env = spec.env;
    add_missing(env, "PATH", default_path);
    add_missing(env, "HOSTNAME", spec.hostname);
    if (spec.tty)
        add_missing(env, "TERM", "xterm");
    add_missing(env, "HOME", user.home);
    json::object out{{"terminal", spec.tty}, {"user", user_object(user)}, {"args", strings(args)},
        {"env", strings(env)}, {"cwd", spec.cwd},
        {"capabilities", capability_object(effective_capabilities(spec.cap_add, spec.cap_drop,
                                               spec.privileged, grantable_capabilities()),
                             user.uid)},
        {"noNewPrivileges", spec.no_new_privileges}, {"oomScoreAdj", spec.oom_score_adj}};
    if (spec.tty && host.rows > 0)
        out["consoleSize"] = json::object{{"height", host.rows}, {"width", host.columns}};
    if (!spec.rlimits.empty())
        out["rlimits"] = rlimit_array(spec);
    if (!spec.apparmor_profile.empty())
        out["apparmorProfile"] = spec.apparmor_profile;
    if (!spec.selinux_label.empty())
        out["selinuxLabel"] = spec.selinux_label;
    return out;
}

json::array namespaces(const container_spec& spec, const oci_host& host) {
    json::array out;
    const auto add = [&](const char* type) { out.push_back(json::object{{"type", type}}); };
    const auto join = [&](const char* type, const std::string& path) {
        out.push_back(json::object{{"type", type}, {"path", path}});
    };
    if (!host.user_namespace.empty())
        join("user", host.user_namespace);
    add("mount");
    if (!host.pid_namespace.empty())
        join("pid", host.pid_namespace);
    else if (!spec.host_pid)
        add("pid");
    if (!host.ipc_namespace.empty())
        join("ipc", host.ipc_namespace);
    else if (!spec.host_ipc)
        add("ipc");
    if (!spec.host_uts)
        add("uts");
    if (spec.own_cgroups.value_or(host.cgroups == cgroup_mode::unified && !spec.privileged))
        add("cgroup");
    // Named even though the runtime is started inside it: crun refuses sysctls net.* of an unlisted
    // namespace.
    if (!host.network_namespace.empty())
        join("network", host.network_namespace);
    return out;
}

json::array device_nodes(const oci_host& host) {
    json::array out;
    for (const device_node& each : host.devices)
        out.push_back(
            json::object{{"path", each.path}, {"type", std::string(1, each.type)}, {"major", each.major},
                {"minor", each.minor}, {"fileMode", each.mode}, {"uid", each.uid}, {"gid", each.gid}});
    return out;
}

bool has_own_domain(const container_spec& spec) {
    return !spec.host_uts && !spec.domainname.empty();
}

json::object sysctl_object(const container_spec& spec, const oci_host& host) {
    json::object out;
    if (host.own_network && !host.network_namespace.empty()) {
        // Docker's since 20.10: ports below 1024 and ping need no privilege in a namespace of one's own.
        out["net.ipv4.ip_unprivileged_port_start"] = "0";
        // The kernel refuses groups that the container does not have.
        out["net.ipv4.ping_group_range"] =
            fmt::format("0 {}", host.user_namespace.empty() ? INT32_MAX : host.user_ids.count - 1);
    }
    if (has_own_domain(spec) && host.user_namespace.empty()) // runc 1.1 does not know the field
        out["kernel.domainname"] = spec.domainname;
    for (const auto& [name, value] : spec.sysctls)
        out[name] = value;
    return out;
}

bool is_filtered(const container_spec& spec, const oci_host& host) {
    const bool asked_for = !spec.seccomp_profile.empty(); // which holds for the privileged too, as in Docker
    return host.seccomp != nullptr && (!spec.privileged || asked_for) && !spec.seccomp_unconfined;
}

/// The runtime cuts its mounts off from the host's at first, which a bind with propagation could not be
/// undone from.
std::string root_propagation(const container_spec& spec) {
    std::string found;
    for (const container_mount& each : spec.mounts)
        if (each.propagation.ends_with("shared"))
            return "rshared";
        else if (each.propagation.ends_with("slave"))
            found = "rslave";
    return found;
}

json::object hook_object(const std::vector<oci_hook>& hooks) {
    json::object out;
    for (const oci_hook& each : hooks) {
        json::object made{{"path", each.path}};
        if (!each.args.empty())
            made["args"] = strings(each.args);
        if (!each.env.empty())
            made["env"] = strings(each.env);
        if (each.timeout > 0)
            made["timeout"] = each.timeout;
        json::value& stage = out[each.stage];
        if (!stage.is_array())
            stage.emplace_array();
        stage.as_array().push_back(std::move(made));
    }
    return out;
}

json::object linux_object(const container_spec& spec, const oci_host& host) {
    json::object out{{"namespaces", namespaces(spec, host)}, {"cgroupsPath", host.cgroup},
        {"resources", oci_resources(spec, host)}};
    if (!host.user_namespace.empty()) {
        // The runtime takes from them how to name the host's ids, though it makes no namespace.
        const json::object ids{
            {"containerID", 0}, {"hostID", host.user_ids.first}, {"size", host.user_ids.count}};
        out["uidMappings"] = json::array{ids};
        out["gidMappings"] = json::array{ids};
    }
    if (!host.devices.empty())
        out["devices"] = device_nodes(host);
    if (json::object sysctls = sysctl_object(spec, host); !sysctls.empty())
        out["sysctl"] = std::move(sysctls);
    if (!spec.privileged && !spec.paths_unconfined) {
        out["maskedPaths"] = json::array(std::begin(masked_paths), std::end(masked_paths));
        out["readonlyPaths"] = json::array(std::begin(readonly_paths), std::end(readonly_paths));
    }
    if (is_filtered(spec, host))
        out["seccomp"] = *host.seccomp;
    if (!spec.selinux_label.empty())
        out["mountLabel"] = spec.selinux_label;
    if (const std::string propagation = root_propagation(spec); !propagation.empty())
        out["rootfsPropagation"] = propagation;
    return out;
}

} // namespace

void override_environment(std::vector<std::string>& env, const std::vector<std::string>& more) {
    for (const std::string& entry : more) {
        const std::string prefix = entry.substr(0, entry.find('=')) + "=";
        const auto same = std::find_if(
            env.begin(), env.end(), [&](const std::string& each) { return each.starts_with(prefix); });
        if (same != env.end())
            *same = entry;
        else
            env.push_back(entry);
    }
}

std::string render_oci_config(const container_spec& spec, const resolved_user& user, const oci_host& host) {
    json::object config{{"ociVersion", "1.0.2"}, {"process", process_object(spec, user, host)},
        {"root", {{"path", host.root}, {"readonly", spec.read_only}}}, {"mounts", oci_mounts(spec, host)},
        {"linux", linux_object(spec, host)}};
    if (!spec.host_uts && !spec.hostname.empty())
        config["hostname"] = spec.hostname;
    // There root may call setdomainname(2), and may not write the sysctl.
    if (has_own_domain(spec) && !host.user_namespace.empty())
        config["domainname"] = spec.domainname;
    if (!spec.hooks.empty())
        config["hooks"] = hook_object(spec.hooks);
    json::object annotations;
    for (const auto& [name, value] : spec.annotations)
        annotations[name] = value;
    if (!host.compiled_seccomp.empty() && is_filtered(spec, host))
        annotations["run.oci.seccomp_bpf_data"] = host.compiled_seccomp;
    if (!annotations.empty())
        config["annotations"] = std::move(annotations);
    return json::serialize(config);
}

std::string render_exec_process(const json::value& config, const exec_process& process) {
    json::object out = config.at("process").as_object();
    if (process.args.empty())
        throw compose::error(compose::error_kind::invalid, "no command to execute");
    check_environment(process.env);
    out["args"] = strings(process.args);
    out["terminal"] = process.tty;
    std::vector<std::string> env;
    for (const json::value& each : out.at("env").as_array())
        env.emplace_back(each.as_string());
    if (process.user != nullptr) {
        override_environment(env, {"HOME=" + process.user->home});
        out["user"] = user_object(*process.user);
    }
    override_environment(env, process.env);
    if (process.tty)
        add_missing(env, "TERM", "xterm");
    out["env"] = strings(env);
    if (!process.cwd.empty()) {
        check_working_directory(process.cwd);
        out["cwd"] = process.cwd;
    }
    if (process.tty && process.rows > 0)
        out["consoleSize"] = json::object{{"height", process.rows}, {"width", process.columns}};
    if (process.privileged || process.user != nullptr) {
        std::vector<std::string> names;
        if (process.privileged)
            names = effective_capabilities({}, {}, true, grantable_capabilities());
        else
            for (const json::value& each : out.at("capabilities").at("bounding").as_array())
                names.emplace_back(each.as_string());
        const auto uid = static_cast<std::uint32_t>(out.at("user").at("uid").to_number<std::uint64_t>());
        out["capabilities"] = capability_object(names, uid);
    }
    return json::serialize(out);
}

} // namespace engine
