#include "compose/encode/encode.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

namespace compose {

namespace json = boost::json;

namespace {

// `config` is read again by other programs, which would interpolate.
std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text)
        result.append(c == '$' ? 2 : 1, c);
    return result;
}

json::array array_of(const std::vector<std::string>& values) {
    json::array array;
    for (const std::string& each : values)
        array.emplace_back(escaped(each));
    return array;
}

json::object object_of(const std::map<std::string, std::string>& values) {
    json::object object;
    for (const auto& [key, value] : values)
        object[key] = escaped(value);
    return object;
}

// Go's way to write a duration, which is what Docker Compose prints.
std::string duration_text(std::chrono::nanoseconds duration) {
    const auto hours = std::chrono::duration_cast<std::chrono::hours>(duration);
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(duration - hours);
    const auto rest = duration - hours - minutes;
    if (duration < std::chrono::seconds(1) && duration > std::chrono::nanoseconds(0))
        return fmt::format("{}ms", static_cast<double>(duration.count()) / 1e6);
    std::string text;
    if (hours.count() > 0)
        text += fmt::format("{}h", hours.count());
    if (hours.count() > 0 || minutes.count() > 0)
        text += fmt::format("{}m", minutes.count());
    return text + fmt::format("{}s", static_cast<double>(rest.count()) / 1e9);
}

void put(json::object& into, std::string_view key, const std::string& value) {
    if (!value.empty())
        into[key] = escaped(value);
}

void put(json::object& into, std::string_view key, const std::vector<std::string>& values) {
    if (!values.empty())
        into[key] = array_of(values);
}

void put(json::object& into, std::string_view key, const std::map<std::string, std::string>& values) {
    if (!values.empty())
        into[key] = object_of(values);
}

void put(json::object& into, std::string_view key, bool value) {
    if (value)
        into[key] = true;
}

void put(json::object& into, std::string_view key, const std::optional<std::chrono::nanoseconds>& value) {
    if (value)
        into[key] = duration_text(*value);
}

json::value words_of(const std::optional<std::vector<std::string>>& words) {
    return words ? json::value(array_of(*words)) : json::value(nullptr);
}

json::object port_object(const port& value) {
    json::object object{{"mode", value.mode}};
    put(object, "name", value.name);
    put(object, "host_ip", value.host_ip);
    object["target"] = value.target;
    put(object, "published", value.published);
    object["protocol"] = value.protocol;
    put(object, "app_protocol", value.app_protocol);
    return object;
}

json::object mount_object(const mount& value) {
    json::object object;
    switch (value.type) {
    case mount_type::bind: {
        object["type"] = "bind";
        json::object bind;
        put(bind, "create_host_path", value.create_host_path);
        put(bind, "propagation", value.propagation);
        put(bind, "recursive", value.recursive);
        put(bind, "selinux", value.selinux);
        object["bind"] = std::move(bind);
        break;
    }
    case mount_type::volume: {
        object["type"] = "volume";
        json::object volume;
        put(volume, "nocopy", value.nocopy);
        put(volume, "subpath", value.subpath);
        object["volume"] = std::move(volume);
        break;
    }
    case mount_type::tmpfs: {
        object["type"] = "tmpfs";
        json::object tmpfs;
        if (value.tmpfs_size)
            tmpfs["size"] = std::to_string(*value.tmpfs_size);
        if (value.tmpfs_mode)
            tmpfs["mode"] = *value.tmpfs_mode;
        object["tmpfs"] = std::move(tmpfs);
        break;
    }
    case mount_type::image:
        object["type"] = "image";
        break;
    }
    put(object, "source", value.source);
    put(object, "target", value.target);
    put(object, "read_only", value.read_only);
    put(object, "consistency", value.consistency);
    return object;
}

json::value endpoint_value(const service_network& value) {
    json::object object;
    put(object, "aliases", value.aliases);
    put(object, "ipv4_address", value.ipv4_address);
    put(object, "ipv6_address", value.ipv6_address);
    put(object, "mac_address", value.mac_address);
    if (value.priority != 0)
        object["priority"] = value.priority;
    if (value.gw_priority != 0)
        object["gw_priority"] = value.gw_priority;
    return object.empty() ? json::value(nullptr) : json::value(std::move(object));
}

std::string_view condition_text(dependency_condition condition) noexcept {
    switch (condition) {
    case dependency_condition::started:
        return "service_started";
    case dependency_condition::healthy:
        return "service_healthy";
    case dependency_condition::completed_successfully:
        return "service_completed_successfully";
    }
    return "";
}

std::string restart_text(const restart_policy& policy) {
    switch (policy.mode) {
    case restart_mode::no:
        return {};
    case restart_mode::always:
        return "always";
    case restart_mode::unless_stopped:
        return "unless-stopped";
    case restart_mode::on_failure:
        return policy.max_attempts == 0 ? "on-failure" : fmt::format("on-failure:{}", policy.max_attempts);
    }
    return {};
}

json::object health_object(const healthcheck& value) {
    json::object object;
    put(object, "test", value.test);
    put(object, "timeout", value.timeout);
    put(object, "interval", value.interval);
    if (value.retries)
        object["retries"] = *value.retries;
    put(object, "start_period", value.start_period);
    put(object, "start_interval", value.start_interval);
    put(object, "disable", value.disable);
    return object;
}

void put_lists(json::object& object, const service& value) {
    json::array ports;
    for (const port& each : value.ports)
        ports.push_back(port_object(each));
    if (!ports.empty())
        object["ports"] = std::move(ports);
    json::array volumes;
    for (const mount& each : value.mounts)
        volumes.push_back(mount_object(each));
    if (!volumes.empty())
        object["volumes"] = std::move(volumes);
    json::object networks;
    for (const auto& [key, how] : value.networks)
        networks[key] = endpoint_value(how);
    if (!networks.empty())
        object["networks"] = std::move(networks);
    json::object dependencies;
    for (const auto& [name, how] : value.depends_on) {
        json::object entry{{"condition", condition_text(how.condition)}};
        put(entry, "restart", how.restart);
        entry["required"] = how.required;
        dependencies[name] = std::move(entry);
    }
    if (!dependencies.empty())
        object["depends_on"] = std::move(dependencies);
    json::object environment;
    for (const auto& [name, text] : value.environment)
        environment[name] = text ? json::value(json::string(escaped(*text))) : json::value(nullptr);
    if (!environment.empty())
        object["environment"] = std::move(environment);
}

json::object service_object(const service& value) {
    json::object object{{"command", words_of(value.command)}, {"entrypoint", words_of(value.entrypoint)}};
    put_lists(object, value);
    put(object, "annotations", value.annotations);
    put(object, "cap_add", value.cap_add);
    put(object, "cap_drop", value.cap_drop);
    put(object, "container_name", value.container_name);
    put(object, "dns", value.dns);
    put(object, "dns_opt", value.dns_opt);
    put(object, "dns_search", value.dns_search);
    put(object, "domainname", value.domainname);
    put(object, "expose", value.expose);
    put(object, "extra_hosts", value.extra_hosts);
    if (value.health)
        object["healthcheck"] = health_object(*value.health);
    put(object, "hostname", value.hostname);
    put(object, "image", value.image);
    if (value.init)
        object["init"] = *value.init;
    put(object, "labels", value.labels);
    if (value.log) {
        json::object log;
        put(log, "driver", value.log->driver);
        put(log, "options", value.log->options);
        object["logging"] = std::move(log);
    }
    put(object, "network_mode", value.network_mode);
    put(object, "platform", value.platform);
    put(object, "privileged", value.privileged);
    put(object, "profiles", value.profiles);
    put(object, "pull_policy", value.pull_policy);
    put(object, "read_only", value.read_only);
    put(object, "restart", restart_text(value.restart));
    if (value.scale != 1)
        object["scale"] = value.scale;
    put(object, "security_opt", value.security_opt);
    put(object, "stdin_open", value.stdin_open);
    put(object, "stop_grace_period", value.stop_grace_period);
    put(object, "stop_signal", value.stop_signal);
    put(object, "tmpfs", value.tmpfs);
    put(object, "tty", value.tty);
    put(object, "user", value.user);
    put(object, "working_dir", value.working_dir);
    for (const auto& [key, text] : value.extra)
        object[key] = json::parse(text);
    return object;
}

json::object network_object(const network& value) {
    json::object object{{"name", value.name}};
    put(object, "driver", value.driver);
    put(object, "driver_opts", value.driver_opts);
    json::object ipam;
    json::array config;
    for (const ipam_pool& pool : value.pools) {
        json::object entry;
        put(entry, "subnet", pool.subnet);
        put(entry, "gateway", pool.gateway);
        put(entry, "ip_range", pool.ip_range);
        put(entry, "aux_addresses", pool.aux_addresses);
        config.push_back(std::move(entry));
    }
    if (!config.empty())
        ipam["config"] = std::move(config);
    object["ipam"] = std::move(ipam);
    put(object, "external", value.external);
    put(object, "internal", value.internal);
    put(object, "attachable", value.attachable);
    if (!value.enable_ipv4)
        object["enable_ipv4"] = false;
    put(object, "enable_ipv6", value.enable_ipv6);
    put(object, "labels", value.labels);
    return object;
}

json::object volume_object(const volume& value) {
    json::object object{{"name", value.name}};
    put(object, "driver", value.driver);
    put(object, "driver_opts", value.driver_opts);
    put(object, "external", value.external);
    put(object, "labels", value.labels);
    return object;
}

json::object sorted(const json::object& from);

json::value sorted_value(const json::value& from) {
    if (const auto* object = from.if_object())
        return sorted(*object);
    if (const auto* array = from.if_array()) {
        json::array result;
        for (const json::value& each : *array)
            result.push_back(sorted_value(each));
        return result;
    }
    return from;
}

json::object sorted(const json::object& from) {
    std::map<std::string, json::value> ordered;
    for (const auto& member : from)
        ordered.emplace(member.key(), sorted_value(member.value()));
    json::object result;
    for (auto& [key, value] : ordered)
        result[key] = std::move(value);
    return result;
}

json::object project_object(const project& value) {
    json::object object{{"name", value.name}};
    json::object services;
    for (const auto& [name, each] : value.services)
        services[name] = sorted(service_object(each));
    object["services"] = std::move(services);
    json::object networks;
    for (const auto& [key, each] : value.networks)
        networks[key] = network_object(each);
    if (!networks.empty())
        object["networks"] = std::move(networks);
    json::object volumes;
    for (const auto& [key, each] : value.volumes)
        volumes[key] = volume_object(each);
    if (!volumes.empty())
        object["volumes"] = std::move(volumes);
    for (const auto& [key, text] : value.extra)
        object[key] = json::parse(text);
    return object;
}

void indent(std::string& into, const json::value& value, std::size_t depth) {
    const std::string margin(depth * 2, ' ');
    if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
        into += "{\n";
        bool first = true;
        for (const auto& member : *object) {
            into += (first ? "" : ",\n") + margin + "  " + json::serialize(json::string(member.key())) + ": ";
            indent(into, member.value(), depth + 1);
            first = false;
        }
        into += "\n" + margin + "}";
    } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
        into += "[\n";
        for (std::size_t index = 0; index < array->size(); ++index) {
            into += (index == 0 ? "" : ",\n") + margin + "  ";
            indent(into, array->at(index), depth + 1);
        }
        into += "\n" + margin + "]";
    } else {
        into += json::serialize(value);
    }
}

// A plain scalar that a reader would take for something else than text is quoted.
bool needs_quotes(std::string_view text) {
    if (text.empty())
        return true;
    static constexpr std::string_view words[] = {
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"};
    std::string low(text);
    std::transform(low.begin(), low.end(), low.begin(),
        [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (std::find(std::begin(words), std::end(words), low) != std::end(words))
        return true;
    return text.find_first_not_of("0123456789.+-:eExXoOabcdefABCDEF_") == std::string_view::npos;
}

void emit(YAML::Emitter& out, const json::value& value) {
    switch (value.kind()) {
    case json::kind::object:
        if (value.get_object().empty()) {
            out << YAML::Flow << YAML::BeginMap << YAML::EndMap;
            return;
        }
        out << YAML::BeginMap;
        for (const auto& member : value.get_object()) {
            out << YAML::Key << std::string(member.key()) << YAML::Value;
            emit(out, member.value());
        }
        out << YAML::EndMap;
        return;
    case json::kind::array:
        out << YAML::BeginSeq;
        for (const json::value& each : value.get_array())
            emit(out, each);
        out << YAML::EndSeq;
        return;
    case json::kind::string: {
        const std::string text(value.get_string());
        if (needs_quotes(text))
            out << YAML::DoubleQuoted;
        out << text;
        return;
    }
    case json::kind::bool_:
        out << value.get_bool();
        return;
    case json::kind::null:
        out << YAML::Null;
        return;
    case json::kind::int64:
        out << value.get_int64();
        return;
    case json::kind::uint64:
        out << value.get_uint64();
        return;
    case json::kind::double_:
        out << value.get_double();
        return;
    }
}

} // namespace

std::string to_json(const project& value) {
    std::string text;
    indent(text, project_object(value), 0);
    return text + "\n";
}

std::string to_yaml(const project& value) {
    YAML::Emitter out;
    out.SetNullFormat(YAML::LowerNull);
    emit(out, project_object(value));
    return std::string(out.c_str()) + "\n";
}

} // namespace compose
