#include "compose/load/decode.hpp"

#include "compose/load/decode_limits.hpp"
#include "compose/load/short_syntax.hpp"
#include "compose/load/tree_values.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace compose {

namespace json = boost::json;

namespace {

// --- parts of a service

std::vector<content_reference> references_in(const node& service, std::string_view key) {
    std::vector<content_reference> made;
    if (const node* list = service.find(key))
        for (const node& item : list->items) {
            content_reference each{.source = item.text_at("source"),
                .target = item.text_at("target"),
                .uid = item.text_at("uid"),
                .gid = item.text_at("gid"),
                .mode = std::nullopt,
                .digest = {}};
            constexpr int octal = 8; // as it is written out
            if (const std::string mode = item.text_at("mode"); !mode.empty())
                each.mode = static_cast<std::uint32_t>(std::strtoul(mode.c_str(), nullptr, octal));
            made.push_back(std::move(each));
        }
    return made;
}

std::vector<port> ports_of(const node& service) {
    std::vector<port> ports;
    if (const node* list = service.find("ports"))
        for (const node& item : list->items)
            ports.push_back({.host_ip = item.text_at("host_ip"),
                .published = item.text_at("published"),
                .target = number_in<std::uint16_t>(item, "target").value_or(0),
                .protocol = item.text_at("protocol"),
                .mode = item.text_at("mode"),
                .name = item.text_at("name"),
                .app_protocol = item.text_at("app_protocol")});
    return ports;
}

mount mount_of(const node& item) {
    mount made;
    const std::string type = item.text_at("type");
    made.type = type == "bind"      ? mount_type::bind
                : type == "tmpfs"   ? mount_type::tmpfs
                : type == "image"   ? mount_type::image
                : type == "cluster" ? mount_type::cluster
                : type == "npipe"   ? mount_type::npipe
                                    : mount_type::volume;
    made.source = item.text_at("source");
    made.target = item.text_at("target");
    made.read_only = switched(item, "read_only");
    made.consistency = item.text_at("consistency");
    if (const node* bind = item.find("bind")) {
        made.create_host_path = bind->text_at("create_host_path") != "false";
        made.propagation = bind->text_at("propagation");
        made.recursive = bind->text_at("recursive");
        made.selinux = bind->text_at("selinux");
    }
    // Of another type they mean nothing (check_mounts.cpp).
    if (const node* volume = item.find("volume"); volume != nullptr && type == "volume") {
        made.nocopy = switched(*volume, "nocopy");
        made.subpath = volume->text_at("subpath");
        made.labels = options_in(*volume, "labels");
    }
    if (const node* image = item.find("image"); image != nullptr && type == "image")
        made.subpath = image->text_at("subpath");
    if (const node* tmpfs = item.find("tmpfs"); tmpfs != nullptr && type == "tmpfs") {
        made.tmpfs_size = number_in(*tmpfs, "size");
        made.tmpfs_mode = number_in<std::uint32_t>(*tmpfs, "mode");
    }
    return made;
}

std::vector<mount> mounts_of(const node& service) {
    std::vector<mount> mounts;
    if (const node* list = service.find("volumes"))
        for (const node& item : list->items)
            mounts.push_back(mount_of(item));
    return mounts;
}

std::map<std::string, service_network> networks_of(const node& service) {
    std::map<std::string, service_network> networks;
    if (const node* own = service.find("networks"))
        for (const auto& [key, how] : own->entries)
            networks[key] = {.aliases = texts_in(how, "aliases"),
                .ipv4_address = how.text_at("ipv4_address"),
                .ipv6_address = how.text_at("ipv6_address"),
                .link_local_ips = texts_in(how, "link_local_ips"),
                .mac_address = how.text_at("mac_address"),
                .interface_name = how.text_at("interface_name"),
                .driver_opts = options_in(how, "driver_opts"),
                .priority = number_in<int>(how, "priority").value_or(0),
                .gw_priority = number_in<int>(how, "gw_priority").value_or(0)};
    return networks;
}

std::map<std::string, dependency> dependencies_of(const node& service) {
    std::map<std::string, dependency> dependencies;
    if (const node* all = service.find("depends_on"))
        for (const auto& [name, how] : all->entries) {
            const std::string condition = how.text_at("condition");
            dependencies[name] = {.condition = condition == "service_healthy" ? dependency_condition::healthy
                                               : condition == "service_completed_successfully"
                                                   ? dependency_condition::completed_successfully
                                                   : dependency_condition::started,
                .restart = switched(how, "restart"),
                .required = how.text_at("required") != "false"};
        }
    return dependencies;
}

std::optional<healthcheck> health_of(const node& service) {
    const node* from = service.find("healthcheck");
    if (from == nullptr || from->is_null())
        return std::nullopt;
    return healthcheck{.test = texts_in(*from, "test"),
        .interval = duration_in(*from, "interval"),
        .timeout = duration_in(*from, "timeout"),
        .start_period = duration_in(*from, "start_period"),
        .start_interval = duration_in(*from, "start_interval"),
        .retries = number_in<unsigned>(*from, "retries"),
        .disable = switched(*from, "disable")};
}

std::map<std::string, std::optional<std::string>> environment_of(const node& service) {
    std::map<std::string, std::optional<std::string>> variables;
    if (const node* all = service.find("environment"))
        for (const auto& [name, value] : all->entries)
            variables[name] = value.is_null() ? std::nullopt : std::optional(value.text);
    return variables;
}

/// deploy.restart_policy is over `restart`, as in Docker Compose.
restart_policy restart_of(const node& service) {
    const node* deploy = service.find("deploy");
    const node* policy = deploy == nullptr ? nullptr : deploy->find("restart_policy");
    if (policy == nullptr || policy->is_null())
        return parse_restart(service.text_at("restart"));
    const std::string condition = policy->text_at("condition");
    return {.mode = condition == "none" || condition == "no" ? restart_mode::no
                    : condition == "on-failure"              ? restart_mode::on_failure
                    : condition == "unless-stopped"          ? restart_mode::unless_stopped
                                                             : restart_mode::always,
        .max_attempts = number_in<unsigned>(*policy, "max_attempts").value_or(0),
        .delay = duration_in(*policy, "delay"),
        .window = duration_in(*policy, "window")};
}

std::optional<update_policy> update_of(const node& service, std::string_view key) {
    const node* deploy = service.find("deploy");
    const node* from = deploy == nullptr ? nullptr : deploy->find(key);
    if (from == nullptr || from->is_null())
        return std::nullopt;
    return update_policy{.parallelism = number_in<unsigned>(*from, "parallelism"),
        .delay = duration_in(*from, "delay").value_or(std::chrono::nanoseconds(0)),
        .failure_action = from->text_at("failure_action"),
        .monitor = duration_in(*from, "monitor"),
        .max_failure_ratio = std::strtod(from->text_at("max_failure_ratio").c_str(), nullptr),
        .start_first = from->text_at("order") == "start-first"};
}

hook hook_of(const node& from) {
    return {.command = texts_in(from, "command"),
        .user = from.text_at("user"),
        .privileged = switched(from, "privileged"),
        .working_dir = from.text_at("working_dir"),
        .environment = environment_of(from)};
}

std::vector<hook> hooks_in(const node& service, std::string_view key) {
    std::vector<hook> made;
    if (const node* list = service.find(key))
        for (const node& each : list->items)
            made.push_back(hook_of(each));
    return made;
}

std::vector<preparation> preparations_in(const node& service) {
    std::vector<preparation> made;
    if (const node* list = service.find("pre_start"))
        for (const node& each : list->items)
            made.push_back({.work = hook_of(each),
                .image = each.text_at("image"),
                .per_replica = switched(each, "per_replica")});
    return made;
}

std::optional<schedule> schedule_of(const node& service) {
    const node* own = service.find("x-composed");
    if (own == nullptr || own->find("schedule") == nullptr)
        return std::nullopt;
    return schedule{.when = own->text_at("schedule"),
        .missed = own->text_at("missed"),
        .overlap = own->text_at("overlap")};
}

std::optional<logging> logging_of(const node& service) {
    const node* from = service.find("logging");
    if (from == nullptr || from->is_null())
        return std::nullopt;
    return logging{.driver = from->text_at("driver"), .options = options_in(*from, "options")};
}

extensions extensions_of(const node& map) {
    extensions kept;
    for (const auto& [key, value] : map.entries)
        if (key.starts_with("x-"))
            kept[key] = json_of(value);
    return kept;
}

unsigned scale_of(const node& service) {
    const node* deploy = service.find("deploy");
    const auto replicas = deploy == nullptr ? std::nullopt : number_in<unsigned>(*deploy, "replicas");
    return number_in<unsigned>(service, "scale").value_or(replicas.value_or(1));
}

service service_of(const std::string& name, const node& from) {
    service made;
    made.name = name;
    made.image = from.text_at("image");
    made.command = words_in(from, "command");
    made.entrypoint = words_in(from, "entrypoint");
    made.environment = environment_of(from);
    made.labels = options_in(from, "labels");
    made.annotations = options_in(from, "annotations");
    made.container_name = from.text_at("container_name");
    made.hostname = from.text_at("hostname");
    made.domainname = from.text_at("domainname");
    made.user = from.text_at("user");
    made.working_dir = from.text_at("working_dir");
    made.stop_signal = from.text_at("stop_signal");
    made.stop_grace_period = duration_in(from, "stop_grace_period");
    made.platform = from.text_at("platform");
    made.pull_policy = from.text_at("pull_policy");
    if (from.find("init") != nullptr)
        made.init = switched(from, "init");
    made.tty = switched(from, "tty");
    made.stdin_open = switched(from, "stdin_open");
    made.read_only = switched(from, "read_only");
    made.privileged = switched(from, "privileged");
    made.ports = ports_of(from);
    made.expose = texts_in(from, "expose");
    made.mounts = mounts_of(from);
    made.tmpfs = texts_in(from, "tmpfs");
    made.volumes_from = texts_in(from, "volumes_from");
    made.networks = networks_of(from);
    made.network_mode = from.text_at("network_mode");
    made.extra_hosts = texts_in(from, "extra_hosts");
    made.dns = texts_in(from, "dns");
    made.dns_search = texts_in(from, "dns_search");
    made.dns_opt = texts_in(from, "dns_opt");
    made.mac_address = from.text_at("mac_address");
    made.links = texts_in(from, "links");
    made.external_links = texts_in(from, "external_links");
    made.depends_on = dependencies_of(from);
    made.restart = restart_of(from);
    made.health = health_of(from);
    made.pre_start = preparations_in(from);
    made.post_start = hooks_in(from, "post_start");
    made.pre_stop = hooks_in(from, "pre_stop");
    made.log = logging_of(from);
    made.profiles = texts_in(from, "profiles");
    made.scale = scale_of(from);
    made.cap_add = texts_in(from, "cap_add");
    made.cap_drop = texts_in(from, "cap_drop");
    made.security_opt = texts_in(from, "security_opt");
    made.secrets = references_in(from, "secrets");
    made.configs = references_in(from, "configs");
    take_limits(from, made);
    take_surroundings(from, made);
    made.update = update_of(from, "update_config");
    made.rollback = update_of(from, "rollback_config");
    made.attach = from.text_at("attach") != "false";
    made.scheduled = schedule_of(from);
    made.extra = extensions_of(from);
    return made;
}

// What nothing acts on; everything else of a service is taken up above or by the filling of the tree.
constexpr std::array<std::string_view, 5> without_action{
    "build", "models", "cpu_count", "cpu_percent", "pull_refresh_after"};
constexpr std::array<std::string_view, 3> deploy_without_action{"placement", "endpoint_mode", "mode"};
// Of a host alone there is nothing to schedule by.
constexpr std::array<std::string_view, 2> reservations_without_action{"cpus", "generic_resources"};

void find_ignored(const std::string& name, const node& service, std::vector<std::string>& ignored) {
    const auto among = [&](const node* map, const std::string& path, const auto& keys) {
        for (const std::string_view key : keys)
            if (const node* found = map == nullptr ? nullptr : map->find(key);
                found != nullptr && !found->is_null())
                ignored.push_back(fmt::format("services.{}.{}{}", name, path, key));
    };
    const auto below = [](const node* map, std::string_view key) {
        return map == nullptr ? nullptr : map->find(key);
    };
    const node* deploy = service.find("deploy");
    among(deploy, "deploy.", deploy_without_action);
    among(below(below(deploy, "resources"), "reservations"), "deploy.resources.reservations.",
        reservations_without_action);
    among(&service, "", without_action);
}

network network_of(const node& from) {
    network made{.name = from.text_at("name"),
        .external = switched(from, "external"),
        .driver = from.text_at("driver"),
        .driver_opts = options_in(from, "driver_opts"),
        .internal = switched(from, "internal"),
        .attachable = switched(from, "attachable"),
        .enable_ipv4 = from.text_at("enable_ipv4") != "false",
        .enable_ipv6 = switched(from, "enable_ipv6"),
        .ipam_driver = {},
        .pools = {},
        .labels = options_in(from, "labels")};
    const node* ipam = from.find("ipam");
    if (ipam != nullptr)
        made.ipam_driver = ipam->text_at("driver");
    const node* config = ipam == nullptr ? nullptr : ipam->find("config");
    if (config != nullptr)
        for (const node& pool : config->items)
            made.pools.push_back({.subnet = pool.text_at("subnet"),
                .ip_range = pool.text_at("ip_range"),
                .gateway = pool.text_at("gateway"),
                .aux_addresses = options_in(pool, "aux_addresses")});
    return made;
}

content_source content_source_of(const node& from) {
    content_source made{.name = from.text_at("name"),
        .external = switched(from, "external"),
        .file = from.text_at("file"),
        .environment = from.text_at("environment"),
        .labels = options_in(from, "labels"),
        .driver = from.text_at("driver"),
        .template_driver = from.text_at("template_driver"),
        .content = std::nullopt};
    if (const node* content = from.find("content"))
        made.content = binary{content->text};
    return made;
}

volume volume_of(const node& from) {
    return {.name = from.text_at("name"),
        .external = switched(from, "external"),
        .driver = from.text_at("driver"),
        .driver_opts = options_in(from, "driver_opts"),
        .labels = options_in(from, "labels")};
}

json::value json_value(const node& from) {
    switch (from.kind) {
    case node_kind::null:
        return nullptr;
    case node_kind::scalar:
        return from.quoted ? json::value(json::string(from.text)) : json::parse(from.text);
    case node_kind::list: {
        json::array array;
        for (const node& item : from.items)
            array.push_back(json_value(item));
        return array;
    }
    case node_kind::map: {
        json::object object;
        for (const auto& [key, value] : from.entries)
            object[key] = json_value(value);
        return object;
    }
    }
    return nullptr;
}

} // namespace

std::string json_of(const node& from) {
    return json::serialize(json_value(from));
}

namespace {

/// "host" and "none" where the network is one of these, which exist once on each host; else empty.
std::string mode_of(const network& of) {
    for (const std::string_view special : {"host", "none"})
        if (of.driver == special || (of.external && of.name == special))
            return std::string(special);
    return {};
}

/// A service whose only network is the host's, or none, is what network_mode says in one word.
void settle_network_mode(service& of, const std::map<std::string, network>& networks) {
    if (of.networks.size() != 1 || !of.network_mode.empty())
        return;
    const auto only = networks.find(of.networks.begin()->first);
    const std::string mode = only == networks.end() ? std::string() : mode_of(only->second);
    if (mode.empty())
        return;
    of.network_mode = mode;
    of.networks.clear();
}

} // namespace

project decode(const node& tree, const node& disabled, std::vector<std::string>& ignored) {
    project made;
    made.name = tree.text_at("name");
    if (const node* services = tree.find("services"))
        for (const auto& [name, from] : services->entries) {
            made.services.emplace(name, service_of(name, from));
            find_ignored(name, from, ignored);
        }
    for (const auto& [name, from] : disabled.entries)
        made.disabled_services.emplace(name, service_of(name, from));
    if (const node* networks = tree.find("networks"))
        for (const auto& [key, from] : networks->entries) {
            made.networks.emplace(key, network_of(from));
            const node* ipam = from.find("ipam"); // its one driver has no options
            if (const node* options = ipam == nullptr ? nullptr : ipam->find("options");
                options != nullptr && !options->entries.empty())
                ignored.push_back(fmt::format("networks.{}.ipam.options", key));
        }
    if (const node* volumes = tree.find("volumes"))
        for (const auto& [key, from] : volumes->entries)
            made.volumes.emplace(key, volume_of(from));
    if (const node* secrets = tree.find("secrets"))
        for (const auto& [key, from] : secrets->entries)
            made.secrets.emplace(key, content_source_of(from));
    if (const node* configs = tree.find("configs"))
        for (const auto& [key, from] : configs->entries)
            made.configs.emplace(key, content_source_of(from));
    for (auto* services : {&made.services, &made.disabled_services})
        for (auto& [name, service] : *services)
            settle_network_mode(service, made.networks);
    made.extra = extensions_of(tree);
    return made;
}

} // namespace compose
