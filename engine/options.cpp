#include "engine/options.hpp"

#include "compose/model/error.hpp"
#include "compose/model/service.hpp"
#include "compose/model/units.hpp"
#include "engine/system/file.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <set>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

// Subnets for networks that choose none: 4,096 of /24, then 256 more. Docker's own thirty-one run out after
// as many projects.
constexpr std::string_view default_pools[] = {"172.16.0.0/12", "192.168.0.0/16"};

ip_address parse_publish_default(const std::string& text) {
    const auto address = parse_ip(text);
    if (!address)
        throw compose::error(compose::error_kind::invalid,
            fmt::format("networks.publish_default: \"{}\" is no IP address like 127.0.0.1", text));
    return *address;
}

std::vector<ipv4_subnet> parse_pools(const std::vector<std::string>& texts) {
    std::vector<ipv4_subnet> pools;
    for (const std::string& text : texts) {
        const auto pool = parse_subnet(text);
        if (!pool)
            throw error(error_kind::invalid,
                fmt::format("networks.pools: \"{}\" is no IPv4 prefix like 10.200.0.0/16", text));
        pools.push_back(*pool);
    }
    return pools;
}

std::uint64_t parse_size(const std::string& text) {
    const auto bytes = compose::parse_bytes(text);
    if (!bytes || *bytes < 0)
        throw error(error_kind::invalid,
            fmt::format("logs.max-size: \"{}\" is no size; write a number with k, m or g", text));
    return static_cast<std::uint64_t>(*bytes);
}

std::chrono::nanoseconds parse_timeout(const std::string& text) {
    const auto time = compose::parse_duration(text);
    if (!time || *time <= std::chrono::nanoseconds(0))
        throw error(error_kind::invalid,
            fmt::format("shutdown_timeout: \"{}\" is no time; write one like 90s or 5m", text));
    return *time;
}

/// Told now, and not when the first image is pulled.
void check_mirrors(const std::map<std::string, std::vector<std::string>>& mirrors) {
    for (const auto& [registry, addresses] : mirrors)
        for (const std::string& each : addresses)
            if (each.empty() || (each.find("://") != std::string::npos && !each.starts_with("http://") &&
                                    !each.starts_with("https://")))
                throw error(error_kind::invalid,
                    fmt::format("registries.mirrors: \"{}\" of {} is no http:// or https:// address", each,
                        registry));
}

/// The name goes into paths, names of cgroups and the firewall's table, beside those of the host.
void check_instance(const std::string& name) {
    static const std::set<std::string_view> of_others{"broute", "docker", "filter", "firewalld", "fw4",
        "init", "kubepods", "lxc", "machine", "mangle", "nat", "raw", "security", "system", "user"};
    const bool fits = !name.empty() && name.size() <= 32 &&
                      std::islower(static_cast<unsigned char>(name[0])) != 0 &&
                      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == std::string::npos;
    if (!fits)
        throw error(error_kind::invalid,
            fmt::format(
                "instance \"{}\": write a lower case letter, then up to 31 letters, digits, _ or -", name));
    if (of_others.contains(name))
        throw error(error_kind::invalid,
            fmt::format(
                "instance \"{}\": firewall tables or cgroups of others bear that name; choose another",
                name));
}

unsigned check_log_files(unsigned count) {
    if (count < 1 || count > compose::most_log_files)
        throw error(error_kind::invalid,
            fmt::format("logs.max-file: {} is no number from 1 to {}", count, compose::most_log_files));
    return count;
}

std::optional<user_id_range> read_user_ids(const std::string& text) {
    if (text.empty())
        return std::nullopt;
    return parse_user_ids(text, read_file_if_there("/etc/subuid", 1U << 20U).value_or(""),
        read_file_if_there("/etc/subgid", 1U << 20U).value_or(""));
}

std::vector<std::filesystem::path> folders(const std::vector<std::string>& names) {
    return {names.begin(), names.end()};
}

/// The configuration file, key by key; an unknown one is an error, as a typo would otherwise go unseen.
class config_reader {
  public:
    config_reader(std::string file, daemon_options& into) : file_(std::move(file)), into_(into) {}

    void read(const YAML::Node& root) {
        each(root, "", [this](const std::string& key, const YAML::Node& value) {
            if (key == "instance")
                into_.instance = value.as<std::string>();
            else if (key == "state")
                into_.state = value.as<std::string>();
            else if (key == "run")
                into_.run = value.as<std::string>();
            else if (key == "stacks")
                into_.stacks = value.as<std::string>();
            else if (key == "runtime")
                into_.runtime = value.as<std::string>();
            else if (key == "cdi-spec-dirs")
                into_.cdi_folders = folders(value.as<std::vector<std::string>>());
            else if (key == "group")
                into_.group = value.as<std::string>();
            else if (key == "userns-remap")
                into_.user_ids = read_user_ids(value.as<std::string>());
            else if (key == "log-file")
                into_.log_file = value.as<std::string>();
            else if (key == "log-level")
                into_.log_level = value.as<std::string>();
            else if (key == "live-restore")
                into_.live_restore = value.as<bool>();
            else if (key == "shutdown-timeout")
                into_.shutdown_timeout = parse_timeout(value.as<std::string>());
            else if (key == "registries")
                registries(value);
            else if (key == "networks")
                networks(value);
            else if (key == "logs")
                logs(value);
            else
                unknown(key, value,
                    "instance, state, run, stacks, runtime, cdi_spec_dirs, group, userns_remap, log-file, "
                    "log-level, "
                    "live_restore, "
                    "shutdown_timeout, registries, networks and logs");
        });
    }

  private:
    void registries(const YAML::Node& node) {
        each(node, "registries.", [this](const std::string& key, const YAML::Node& value) {
            if (key == "mirrors")
                for (const auto& mirror : value)
                    into_.images.mirrors[mirror.first.as<std::string>()] =
                        mirror.second.as<std::vector<std::string>>();
            else if (key == "insecure")
                for (const auto& host : value)
                    into_.images.insecure.insert(host.as<std::string>());
            else
                unknown("registries." + key, value, "mirrors and insecure");
        });
    }

    void networks(const YAML::Node& node) {
        each(node, "networks.", [this](const std::string& key, const YAML::Node& value) {
            if (key == "pools")
                into_.networks.pools = parse_pools(value.as<std::vector<std::string>>());
            else if (key == "publish-default")
                into_.networks.publish_default = parse_publish_default(value.as<std::string>());
            else
                unknown("networks." + key, value, "pools and publish_default");
        });
    }

    void logs(const YAML::Node& node) {
        each(node, "logs.", [this](const std::string& key, const YAML::Node& value) {
            if (key == "max-size")
                into_.logs.max_size = parse_size(value.as<std::string>());
            else if (key == "max-file")
                into_.logs.max_files = check_log_files(value.as<unsigned>());
            else
                unknown("logs." + key, value, "max-size and max-file");
        });
    }

    template <typename Use>
    void each(const YAML::Node& node, const std::string& prefix, Use use) {
        if (node.IsNull())
            return;
        if (!node.IsMap())
            throw error(
                error_kind::invalid, fmt::format("{}:{}: {} must be a mapping", file_, node.Mark().line + 1,
                                         prefix.empty() ? "the file" : prefix.substr(0, prefix.size() - 1)));
        for (const auto& entry : node) {
            std::string key = entry.first.as<std::string>();
            std::replace(key.begin(), key.end(), '_', '-'); // both are written
            try {
                use(key, entry.second);
            } catch (const YAML::BadConversion&) {
                throw error(error_kind::invalid,
                    fmt::format("{}:{}: {}{}: {} is not of the kind that this key takes; see README.md",
                        file_, entry.second.Mark().line + 1, prefix, entry.first.Scalar(),
                        entry.second.IsScalar() ? fmt::format("\"{}\"", entry.second.Scalar())
                                                : std::string("the value")));
            }
        }
    }

    [[noreturn]] void unknown(const std::string& key, const YAML::Node& at, std::string_view known) const {
        throw error(error_kind::invalid,
            fmt::format("{}:{}: unknown key \"{}\"; there are {}", file_, at.Mark().line + 1, key, known));
    }

    std::string file_;
    daemon_options& into_;
};

void read_config(daemon_options& into, bool must_exist) {
    const auto text = read_file_if_there(into.config, 1U << 20U);
    if (!text && must_exist)
        throw error(error_kind::not_found,
            fmt::format("configuration file \"{}\": no such file", into.config.native()));
    if (!text)
        return;
    try {
        config_reader(into.config, into).read(YAML::Load(*text));
    } catch (const YAML::Exception& failure) {
        throw error(error_kind::invalid,
            fmt::format("{}:{}: {}", into.config.native(), failure.mark.line + 1, failure.msg));
    }
}

} // namespace

daemon_options read_options(int count, char** arguments) {
    daemon_options from_line;
    CLI::App app(
        "composed: a container engine with Compose built in. Holds stacks as their Compose files want them.");
    app.set_version_flag("--version", std::string("composed ") + COMPOSED_VERSION);
    std::vector<std::string> pools;
    std::string publish_default;
    std::vector<std::string> mirrors;
    std::vector<std::string> insecure;
    std::string max_size;
    std::string timeout;
    std::string user_ids;
    auto* config = app.add_option("--config", from_line.config, "configuration file");
    auto* instance = app.add_option(
        "--instance", from_line.instance, "name that bridges, cgroups and the firewall table derive from");
    auto* state = app.add_option("--state", from_line.state, "folder for what must survive");
    auto* run = app.add_option("--run", from_line.run, "folder for sockets and what ends with a reboot");
    auto* stacks = app.add_option(
        "--stacks", from_line.stacks, "folder of NAME/compose.yaml that are brought up by themselves");
    auto* log_file = app.add_option("--log-file", from_line.log_file, "log here instead of stderr");
    auto* log_level = app.add_option("--log-level", from_line.log_level, "trace, debug, info, warn or error")
                          ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
    auto* runtime = app.add_option("--runtime", from_line.runtime, "OCI runtime program (crun, else runc)");
    auto* cdi_folders = app.add_option("--cdi-spec-dirs", from_line.cdi_folders,
        "folders with CDI specifications of devices (/etc/cdi /var/run/cdi)");
    auto* group = app.add_option("--group", from_line.group, "group that may use the socket");
    app.add_option("--pid-file", from_line.pid_file, "write the daemon's pid here");
    app.add_option("--shim", from_line.shim, "composed-shim program")->group("");
    app.add_option("--network-pool", pools, "prefix that subnets are cut from; may be given several times");
    app.add_option("--publish-default", publish_default,
        "address of the host where ports are published that name none; all addresses when left out");
    app.add_option("--registry-mirror", mirrors, "REGISTRY=URL; may be given several times");
    app.add_option("--insecure-registry", insecure, "HOST:PORT without TLS; may be given several times");
    auto* users = app.add_option("--userns-remap", user_ids,
        "ids of the host that containers have as 0 and up: FIRST:COUNT, or a user of /etc/subuid");
    auto* live_restore = app.add_flag("--live-restore,!--no-live-restore", from_line.live_restore,
        "whether containers go on when only the daemon ends; they do unless told otherwise");
    auto* shutdown_timeout = app.add_option("--shutdown-timeout", timeout,
        "what all stacks have together to end in order when the host goes down (90s)");
    auto* log_size = app.add_option("--log-max-size", max_size, "size at which a container's log is rotated");
    auto* log_count =
        app.add_option("--log-max-file", from_line.logs.max_files, "files kept of a container's log");
    app.add_flag("--daemonize", from_line.daemonize, "go to the background once the API answers");
    app.add_flag("--repair-store", from_line.repair_store,
        "put a damaged store together again from what can be read and its last copy, and end");
    app.add_flag("--new-secret-key", from_line.new_secret_key,
        "make a new key for secrets in the place of a lost one, which is kept, and end");
    app.add_flag("--check", from_line.check, "say what the host has and lacks, and end");
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& done) {
        std::exit(app.exit(done) == 0 ? 0 : 1);
    }

    daemon_options options;
    options.networks.pools = parse_pools({std::begin(default_pools), std::end(default_pools)});
    options.config = from_line.config;
    read_config(options, config->count() > 0);
    const auto take = [](const CLI::Option* given, auto& into, const auto& from) {
        if (given->count() > 0)
            into = from;
    };
    take(instance, options.instance, from_line.instance);
    take(state, options.state, from_line.state);
    take(run, options.run, from_line.run);
    take(stacks, options.stacks, from_line.stacks);
    take(log_file, options.log_file, from_line.log_file);
    take(log_level, options.log_level, from_line.log_level);
    take(runtime, options.runtime, from_line.runtime);
    take(cdi_folders, options.cdi_folders, from_line.cdi_folders);
    take(group, options.group, from_line.group);
    take(live_restore, options.live_restore, from_line.live_restore);
    if (users->count() > 0)
        options.user_ids = read_user_ids(user_ids);
    if (shutdown_timeout->count() > 0)
        options.shutdown_timeout = parse_timeout(timeout);
    if (log_count->count() > 0)
        options.logs.max_files = check_log_files(from_line.logs.max_files);
    check_instance(options.instance);
    if (log_size->count() > 0)
        options.logs.max_size = parse_size(max_size);
    if (!pools.empty())
        options.networks.pools = parse_pools(pools);
    if (!publish_default.empty())
        options.networks.publish_default = parse_publish_default(publish_default);
    for (const std::string& mirror : mirrors) {
        const auto equals = mirror.find('=');
        if (equals == std::string::npos)
            throw error(
                error_kind::invalid, fmt::format("--registry-mirror \"{}\": write REGISTRY=URL", mirror));
        options.images.mirrors[mirror.substr(0, equals)].push_back(mirror.substr(equals + 1));
    }
    check_mirrors(options.images.mirrors);
    options.images.insecure.insert(insecure.begin(), insecure.end());
    options.networks.instance = options.instance;
    options.networks.ipv6_seed =
        read_file_if_there("/etc/machine-id", 64).value_or("") + "/" + options.instance;
    // Of two daemons that follow one folder each would run all of it.
    if (options.stacks.empty() && options.instance == daemon_options().instance)
        options.stacks = "/etc/composed/stacks";
    options.shim = from_line.shim.empty()
                       ? std::filesystem::read_symlink("/proc/self/exe").parent_path() / "composed-shim"
                       : from_line.shim;
    options.pid_file = from_line.pid_file;
    options.daemonize = from_line.daemonize;
    options.check = from_line.check;
    options.repair_store = from_line.repair_store;
    options.new_secret_key = from_line.new_secret_key;
    return options;
}

} // namespace engine
