#include "compose/load/decode.hpp"
#include "compose/load/short_syntax.hpp"
#include "compose/model/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace compose {

namespace {

// Runs `read`, which may throw error{invalid} for a short form, and tells it at its place.
template <typename Read>
void guarded(decoder& by, const node& from, const std::string& path, Read read) {
    try {
        read();
    } catch (const error& failure) {
        by.fail(from, path, failure.what());
    }
}

std::optional<std::vector<std::string>> command_of(decoder& by, const node& from, const std::string& path) {
    if (from.is_list())
        return by.texts(from, path);
    std::optional<std::vector<std::string>> words;
    if (by.expect(from, node_kind::scalar, path))
        guarded(by, from, path, [&] { words = split_command(from.text); });
    return words;
}

// --- ports

constexpr decoder::field<port> port_keys[] = {
    {"target",
        [](decoder& by, const node& from, const std::string& path, port& into) {
            const auto number = by.integer(from, path);
            if (number && (*number < 1 || *number > 65535))
                by.fail(from, path, fmt::format("{} is no port", *number));
            else if (number)
                into.target = static_cast<std::uint16_t>(*number);
        }},
    {"published", [](decoder& by, const node& from, const std::string& path,
                      port& into) { into.published = by.text(from, path); }},
    {"host_ip", [](decoder& by, const node& from, const std::string& path,
                    port& into) { into.host_ip = by.text(from, path); }},
    {"protocol", [](decoder& by, const node& from, const std::string& path,
                     port& into) { into.protocol = by.text(from, path); }},
    {"mode", [](decoder& by, const node& from, const std::string& path,
                 port& into) { into.mode = by.text(from, path); }},
    {"name", [](decoder& by, const node& from, const std::string& path,
                 port& into) { into.name = by.text(from, path); }},
    {"app_protocol", [](decoder& by, const node& from, const std::string& path,
                         port& into) { into.app_protocol = by.text(from, path); }},
};

void read_ports(decoder& by, const node& from, const std::string& path, service_target& into) {
    if (!by.expect(from, node_kind::list, path))
        return;
    for (std::size_t index = 0; index < from.items.size(); ++index) {
        const node& item = from.items[index];
        const std::string here = fmt::format("{}[{}]", path, index);
        std::vector<port> ports;
        if (item.is_map()) {
            port made;
            by.keys(item, here, made, port_keys);
            if (made.target == 0)
                by.fail(item, here, "target says which port of the container; it must be there");
            ports.push_back(std::move(made));
        } else if (by.expect(item, node_kind::scalar, here)) {
            guarded(by, item, here, [&] { ports = parse_port(item.text); });
        }
        for (port& each : ports)
            if (std::find(into.value.ports.begin(), into.value.ports.end(), each) == into.value.ports.end())
                into.value.ports.push_back(std::move(each));
    }
}

// --- volumes

constexpr decoder::field<mount> bind_keys[] = {
    {"create_host_path", [](decoder& by, const node& from, const std::string& path,
                             mount& into) { into.create_host_path = by.boolean(from, path).value_or(true); }},
    {"propagation", [](decoder& by, const node& from, const std::string& path,
                        mount& into) { into.propagation = by.text(from, path); }},
    {"recursive", [](decoder& by, const node& from, const std::string& path,
                      mount& into) { into.recursive = by.text(from, path); }},
    {"selinux", [](decoder& by, const node& from, const std::string& path,
                    mount& into) { into.selinux = by.text(from, path); }},
};
constexpr decoder::field<mount> volume_mount_keys[] = {
    {"nocopy", [](decoder& by, const node& from, const std::string& path,
                   mount& into) { into.nocopy = by.boolean(from, path).value_or(false); }},
    {"subpath", [](decoder& by, const node& from, const std::string& path,
                    mount& into) { into.subpath = by.text(from, path); }},
};
constexpr decoder::field<mount> tmpfs_keys[] = {
    {"size", [](decoder& by, const node& from, const std::string& path,
                 mount& into) { into.tmpfs_size = by.bytes(from, path); }},
    {"mode",
        [](decoder& by, const node& from, const std::string& path, mount& into) {
            if (const auto mode = by.integer(from, path))
                into.tmpfs_mode = static_cast<std::uint32_t>(*mode);
        }},
};

constexpr decoder::field<mount> mount_keys[] = {
    {"type",
        [](decoder& by, const node& from, const std::string& path, mount& into) {
            const std::string type = by.text(from, path);
            if (type == "bind")
                into.type = mount_type::bind;
            else if (type == "volume")
                into.type = mount_type::volume;
            else if (type == "tmpfs")
                into.type = mount_type::tmpfs;
            else
                by.fail(from, path,
                    fmt::format("\"{}\" is not supported; there are bind, volume and tmpfs", type));
        }},
    {"source", [](decoder& by, const node& from, const std::string& path,
                   mount& into) { into.source = by.text(from, path); }},
    {"target", [](decoder& by, const node& from, const std::string& path,
                   mount& into) { into.target = by.text(from, path); }},
    {"read_only", [](decoder& by, const node& from, const std::string& path,
                      mount& into) { into.read_only = by.boolean(from, path).value_or(false); }},
    {"consistency", [](decoder& by, const node& from, const std::string& path,
                        mount& into) { into.consistency = by.text(from, path); }},
    {"bind", [](decoder& by, const node& from, const std::string& path,
                 mount& into) { by.keys(from, path, into, bind_keys); }},
    {"volume", [](decoder& by, const node& from, const std::string& path,
                   mount& into) { by.keys(from, path, into, volume_mount_keys); }},
    {"tmpfs", [](decoder& by, const node& from, const std::string& path,
                  mount& into) { by.keys(from, path, into, tmpfs_keys); }},
};

void read_volumes(decoder& by, const node& from, const std::string& path, service_target& into) {
    if (!by.expect(from, node_kind::list, path))
        return;
    for (std::size_t index = 0; index < from.items.size(); ++index) {
        const node& item = from.items[index];
        const std::string here = fmt::format("{}[{}]", path, index);
        mount made;
        if (item.is_map())
            by.keys(item, here, made, mount_keys);
        else if (by.expect(item, node_kind::scalar, here))
            guarded(by, item, here, [&] { made = parse_mount(item.text); });
        if (made.target.empty()) {
            if (item.is_map())
                by.fail(item, here, "target says where in the container; it must be there");
            continue;
        }
        if (made.type == mount_type::bind && made.source.empty())
            by.fail(item, here, "a bind needs a source");
        // The last one of a target wins, as files lie over one another.
        std::erase_if(into.value.mounts, [&](const mount& other) { return other.target == made.target; });
        into.value.mounts.push_back(std::move(made));
    }
}

// --- networks and dependencies

constexpr decoder::field<service_network> endpoint_keys[] = {
    {"aliases", [](decoder& by, const node& from, const std::string& path,
                    service_network& into) { into.aliases = by.texts(from, path); }},
    {"ipv4_address", [](decoder& by, const node& from, const std::string& path,
                         service_network& into) { into.ipv4_address = by.text(from, path); }},
    {"priority",
        [](decoder& by, const node& from, const std::string& path, service_network& into) {
            into.priority = static_cast<int>(by.integer(from, path).value_or(0));
        }},
    {"gw_priority",
        [](decoder& by, const node& from, const std::string& path, service_network& into) {
            into.gw_priority = static_cast<int>(by.integer(from, path).value_or(0));
        }},
};
const std::vector<std::string_view> later_endpoint_keys{
    "ipv6_address", "link_local_ips", "mac_address", "driver_opts", "interface_name"};

void read_networks(decoder& by, const node& from, const std::string& path, service_target& into) {
    if (from.is_list()) {
        for (const std::string& name : by.texts(from, path))
            into.value.networks[name];
        return;
    }
    if (!by.expect(from, node_kind::map, path))
        return;
    for (const auto& [name, value] : from.entries) {
        service_network& made = into.value.networks[name];
        if (!value.is_null())
            by.keys(value, child_path(path, name), made, endpoint_keys, later_endpoint_keys);
    }
}

constexpr decoder::field<dependency> dependency_keys[] = {
    {"condition",
        [](decoder& by, const node& from, const std::string& path, dependency& into) {
            const std::string name = by.text(from, path);
            if (name == "service_started")
                into.condition = dependency_condition::started;
            else if (name == "service_healthy")
                into.condition = dependency_condition::healthy;
            else if (name == "service_completed_successfully")
                into.condition = dependency_condition::completed_successfully;
            else
                by.fail(from, path,
                    fmt::format("\"{}\" is not one of service_started, service_healthy, "
                                "service_completed_successfully",
                        name));
        }},
    {"restart", [](decoder& by, const node& from, const std::string& path,
                    dependency& into) { into.restart = by.boolean(from, path).value_or(false); }},
    {"required", [](decoder& by, const node& from, const std::string& path,
                     dependency& into) { into.required = by.boolean(from, path).value_or(true); }},
};

void read_depends_on(decoder& by, const node& from, const std::string& path, service_target& into) {
    if (from.is_list()) {
        for (const std::string& name : by.texts(from, path))
            into.value.depends_on[name];
        return;
    }
    if (!by.expect(from, node_kind::map, path))
        return;
    for (const auto& [name, value] : from.entries) {
        dependency& made = into.value.depends_on[name];
        if (!value.is_null())
            by.keys(value, child_path(path, name), made, dependency_keys);
    }
}

// --- health, logging, environment files

constexpr decoder::field<healthcheck> health_keys[] = {
    {"test",
        [](decoder& by, const node& from, const std::string& path, healthcheck& into) {
            if (from.is_scalar()) {
                into.test = {"CMD-SHELL", from.text};
                return;
            }
            into.test = by.texts(from, path);
            if (into.test.empty() ||
                (into.test[0] != "CMD" && into.test[0] != "CMD-SHELL" && into.test[0] != "NONE"))
                by.fail(from, path, "a list begins with CMD, CMD-SHELL or NONE");
        }},
    {"interval", [](decoder& by, const node& from, const std::string& path,
                     healthcheck& into) { into.interval = by.duration(from, path); }},
    {"timeout", [](decoder& by, const node& from, const std::string& path,
                    healthcheck& into) { into.timeout = by.duration(from, path); }},
    {"start_period", [](decoder& by, const node& from, const std::string& path,
                         healthcheck& into) { into.start_period = by.duration(from, path); }},
    {"start_interval", [](decoder& by, const node& from, const std::string& path,
                           healthcheck& into) { into.start_interval = by.duration(from, path); }},
    {"retries",
        [](decoder& by, const node& from, const std::string& path, healthcheck& into) {
            const auto number = by.integer(from, path);
            if (number && (*number < 0 || *number > 1'000'000))
                by.fail(from, path, fmt::format("{} is no number of failures", *number));
            else if (number)
                into.retries = static_cast<unsigned>(*number);
        }},
    {"disable", [](decoder& by, const node& from, const std::string& path,
                    healthcheck& into) { into.disable = by.boolean(from, path).value_or(false); }},
};

constexpr decoder::field<logging> logging_keys[] = {
    {"driver", [](decoder& by, const node& from, const std::string& path,
                   logging& into) { into.driver = by.text(from, path); }},
    {"options", [](decoder& by, const node& from, const std::string& path,
                    logging& into) { into.options = by.labels(from, path); }},
};

constexpr decoder::field<env_file_entry> env_file_keys[] = {
    {"path", [](decoder& by, const node& from, const std::string& path,
                 env_file_entry& into) { into.path = by.text(from, path); }},
    {"required", [](decoder& by, const node& from, const std::string& path,
                     env_file_entry& into) { into.required = by.boolean(from, path).value_or(true); }},
    {"format",
        [](decoder& by, const node& from, const std::string& path, env_file_entry& into) {
            const std::string format = by.text(from, path);
            into.raw = format == "raw";
            if (format != "raw" && !format.empty())
                by.fail(from, path, fmt::format("\"{}\" is no format; there is raw", format));
        }},
};

void read_env_file(decoder& by, const node& from, const std::string& path, service_target& into) {
    if (from.is_scalar()) {
        into.env_files.push_back({.path = from.text, .at = from.at});
        return;
    }
    if (!by.expect(from, node_kind::list, path))
        return;
    for (std::size_t index = 0; index < from.items.size(); ++index) {
        const node& item = from.items[index];
        const std::string here = fmt::format("{}[{}]", path, index);
        env_file_entry made{.at = item.at};
        if (item.is_scalar())
            made.path = item.text;
        else
            by.keys(item, here, made, env_file_keys);
        if (made.path.empty())
            by.fail(item, here, "path says which file; it must be there");
        else
            into.env_files.push_back(std::move(made));
    }
}

void read_extra_hosts(decoder& by, const node& from, const std::string& path, service_target& into) {
    if (from.is_map()) {
        for (const auto& [name, value] : from.entries)
            for (const std::string& address : by.text_or_texts(value, child_path(path, name)))
                into.value.extra_hosts.push_back(fmt::format("{}={}", name, address));
        return;
    }
    for (std::string entry : by.texts(from, path)) {
        const auto split = entry.find('=') != std::string::npos ? entry.find('=') : entry.find(':');
        if (split == std::string::npos) {
            by.fail(from, path, fmt::format("\"{}\": write NAME=ADDRESS", entry));
            continue;
        }
        std::string address = entry.substr(split + 1);
        if (address.starts_with('[') && address.ends_with(']'))
            address = address.substr(1, address.size() - 2);
        into.value.extra_hosts.push_back(fmt::format("{}={}", entry.substr(0, split), address));
    }
}

void add_unique(std::vector<std::string>& into, std::vector<std::string> values) {
    for (std::string& value : values)
        if (std::find(into.begin(), into.end(), value) == into.end())
            into.push_back(std::move(value));
}

// A text, a switch, a list: keys that say no more than that.
#define TEXT(key, member)                                                                                    \
    {                                                                                                        \
        key, [](decoder& by, const node& from, const std::string& path, service_target& into) {              \
            into.value.member = by.text(from, path);                                                         \
        }                                                                                                    \
    }
#define SWITCH(key, member)                                                                                  \
    {                                                                                                        \
        key, [](decoder& by, const node& from, const std::string& path, service_target& into) {              \
            into.value.member = by.boolean(from, path).value_or(false);                                      \
        }                                                                                                    \
    }
#define LIST(key, member)                                                                                    \
    {                                                                                                        \
        key, [](decoder& by, const node& from, const std::string& path, service_target& into) {              \
            add_unique(into.value.member, by.text_or_texts(from, path));                                     \
        }                                                                                                    \
    }

constexpr decoder::field<service_target> service_keys[] = {
    TEXT("image", image),
    TEXT("container_name", container_name),
    TEXT("hostname", hostname),
    TEXT("domainname", domainname),
    TEXT("user", user),
    TEXT("working_dir", working_dir),
    TEXT("stop_signal", stop_signal),
    TEXT("platform", platform),
    TEXT("network_mode", network_mode),
    SWITCH("init", init),
    SWITCH("tty", tty),
    SWITCH("stdin_open", stdin_open),
    SWITCH("read_only", read_only),
    SWITCH("privileged", privileged),
    LIST("expose", expose),
    LIST("tmpfs", tmpfs),
    LIST("dns", dns),
    LIST("dns_search", dns_search),
    LIST("dns_opt", dns_opt),
    LIST("profiles", profiles),
    LIST("cap_add", cap_add),
    LIST("cap_drop", cap_drop),
    LIST("security_opt", security_opt),
    {"command", [](decoder& by, const node& from, const std::string& path,
                    service_target& into) { into.value.command = command_of(by, from, path); }},
    {"entrypoint", [](decoder& by, const node& from, const std::string& path,
                       service_target& into) { into.value.entrypoint = command_of(by, from, path); }},
    {"environment", [](decoder& by, const node& from, const std::string& path,
                        service_target& into) { into.value.environment = by.pairs(from, path); }},
    {"labels", [](decoder& by, const node& from, const std::string& path,
                   service_target& into) { into.value.labels = by.labels(from, path); }},
    {"annotations", [](decoder& by, const node& from, const std::string& path,
                        service_target& into) { into.value.annotations = by.labels(from, path); }},
    {"env_file", read_env_file},
    {"ports", read_ports},
    {"volumes", read_volumes},
    {"networks", read_networks},
    {"depends_on", read_depends_on},
    {"extra_hosts", read_extra_hosts},
    {"stop_grace_period",
        [](decoder& by, const node& from, const std::string& path, service_target& into) {
            into.value.stop_grace_period = by.duration(from, path);
        }},
    {"restart",
        [](decoder& by, const node& from, const std::string& path, service_target& into) {
            const std::string text = by.text(from, path);
            guarded(by, from, path, [&] { into.value.restart = parse_restart(text); });
        }},
    {"healthcheck",
        [](decoder& by, const node& from, const std::string& path, service_target& into) {
            healthcheck made;
            by.keys(from, path, made, health_keys);
            into.value.health = std::move(made);
        }},
    {"logging",
        [](decoder& by, const node& from, const std::string& path, service_target& into) {
            logging made;
            by.keys(from, path, made, logging_keys);
            into.value.log = std::move(made);
        }},
    {"pull_policy",
        [](decoder& by, const node& from, const std::string& path, service_target& into) {
            std::string policy = by.text(from, path);
            if (policy == "if_not_present")
                policy = "missing";
            if (policy != "missing" && policy != "never")
                by.fail(from, path,
                    fmt::format("\"{}\" is not supported yet; there are missing and never", policy));
            into.value.pull_policy = policy;
        }},
    {"scale",
        [](decoder& by, const node& from, const std::string& path, service_target& into) {
            const auto number = by.integer(from, path);
            if (number && (*number < 0 || *number > 10000))
                by.fail(from, path, "must be between 0 and 10000");
            else if (number)
                into.value.scale = static_cast<unsigned>(*number);
        }},
};

#undef TEXT
#undef SWITCH
#undef LIST

// Keys of the Compose Specification that this version does not act on: an error that says so, not a typo.
const std::vector<std::string_view> later_keys{"attach", "blkio_config", "build", "cgroup", "cgroup_parent",
    "configs", "cpu_count", "cpu_percent", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime",
    "cpu_shares", "cpus", "cpuset", "credential_spec", "deploy", "develop", "device_cgroup_rules", "devices",
    "extends", "external_links", "gpus", "group_add", "ipc", "isolation", "label_file", "links",
    "mac_address", "mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "models",
    "oom_kill_disable", "oom_score_adj", "pid", "pids_limit", "post_start", "pre_start", "pre_stop",
    "provider", "runtime", "secrets", "shm_size", "storage_opt", "sysctls", "ulimits", "use_api_socket",
    "userns_mode", "uts", "volumes_from"};

} // namespace

void decode_service(decoder& by, const node& from, const std::string& path, service_target& into) {
    if (from.is_null()) {
        by.fail(from, path, "a service needs at least an image");
        return;
    }
    by.keys(from, path, into, service_keys, later_keys);
    if (from.is_map())
        for (const auto& [key, value] : from.entries)
            if (key.starts_with("x-"))
                into.value.extra[key] = json_of(value);
    if (from.is_map() && into.value.image.empty() && from.find("build") == nullptr)
        by.fail(from, path, "has neither an image nor a build; set image");
    if (!into.value.network_mode.empty() && !into.value.networks.empty())
        by.fail(from, path, "network_mode and networks exclude one another");
    if (!into.value.network_mode.empty() && into.value.network_mode != "host" &&
        into.value.network_mode != "none")
        by.fail(from, path + ".network_mode",
            fmt::format("\"{}\" is not supported yet; there are host and none", into.value.network_mode));
    for (const auto& [name, how] : into.value.depends_on)
        if (how.restart)
            by.fail(from, fmt::format("{}.depends_on.{}.restart", path, name), "is not supported yet");
    if (!into.value.container_name.empty() && into.value.scale > 1)
        by.fail(from, path, "container_name gives one container its name, so scale cannot be more than 1");
}

} // namespace compose
