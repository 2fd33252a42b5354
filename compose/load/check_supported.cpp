#include "compose/load/check.hpp"

#include "compose/model/logging.hpp"
#include "compose/model/nearest.hpp"
#include "compose/model/units.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <map>
#include <netinet/ether.h>
#include <set>
#include <string_view>
#include <vector>

namespace compose {

bool is_address(const std::string& text) {
    in6_addr parsed{};
    return ::inet_pton(AF_INET, text.c_str(), &parsed) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), &parsed) == 1;
}

namespace {

bool is_address_of(const std::string& text, int family) {
    in6_addr parsed{};
    return ::inet_pton(family, text.c_str(), &parsed) == 1;
}

/// Six bytes in hexadecimal; not that of a group, whose first byte is odd.
bool is_mac_address(const std::string& text) {
    ether_addr parsed{};
    return ::ether_aton_r(text.c_str(), &parsed) != nullptr && (parsed.ether_addr_octet[0] & 1U) == 0;
}

bool is_letter_or_digit(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

/// What goes into /etc/hosts and to sethostname(2), which takes 64 bytes.
bool is_host_name(const std::string& name) {
    return !name.empty() && name.size() <= HOST_NAME_MAX && std::all_of(name.begin(), name.end(), [](char c) {
        return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-';
    });
}

/// What the schema takes for the key of a resource.
bool is_key(const std::string& key) {
    return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
        return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-';
    });
}

constexpr std::size_t most_contents =
    200; // of each kind, for a service: its shim is told of them in one packet

/// As Docker takes it: a number, or a name with SIG or without, in any case.
bool is_signal(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(),
        [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    if (name.starts_with("SIG"))
        name.erase(0, 3);
    if (name.starts_with("RTM") && (name.substr(3).starts_with("IN") || name.substr(3).starts_with("AX")))
        return true; // with its offset, which the engine reads
    if (name.find_first_not_of("0123456789") == std::string::npos)
        return !name.empty() && name.size() < 3 && std::stoi(name) >= 1 && std::stoi(name) <= 64;
    for (int number = 1; number < NSIG; ++number)
        if (const char* known = ::sigabbrev_np(number); known != nullptr && name == known)
            return true;
    return false;
}

class support_checker {
  public:
    support_checker(const project& of, const place_lookup& place, std::vector<diagnostic>& wrong)
        : project_(of), place_(place), wrong_(wrong) {}

    void run() {
        for (const auto& [name, service] : project_.services) {
            path_ = "services." + name;
            image(service);
            process(service);
            preparations(service);
            names(service);
            networks(service);
            ports(service);
            mounts(service);
            contents("secrets", service.secrets);
            contents("configs", service.configs);
            health(service);
            log(service);
            const report_fault report = [this](const std::string& key, const std::string& message) {
                fail(key, "{}", message);
            };
            const report_fault warn = [this](const std::string& key, const std::string& message) {
                fail(key, "{}", message);
                wrong_.back().warning = true;
            };
            const report_fault of_limit = [this](const std::string& key, const std::string& message) {
                fail(where_said(key), "{}", message);
            };
            check_limits(service, of_limit, warn);
            check_update(service, report);
            check_life_cycle(service, report);
            check_network_use(project_, service, report, warn);
            check_mount_use(service, report, warn);
        }
        path_.clear();
        check_own_keys_of_project(project_,
            [this](const std::string& key, const std::string& message) { fail(key, "{}", message); });
        for (const auto& [key, volume] : project_.volumes)
            if (!volume.driver.empty() && volume.driver != "local")
                fail("volumes." + key + ".driver",
                    "\"{}\" is not supported; there is local, which takes type, o "
                    "and device as driver_opts",
                    volume.driver);
        sources("secrets", project_.secrets);
        sources("configs", project_.configs);
        for (const auto& [key, network] : project_.networks)
            if (!network.external)
                check(key, network);
    }

  private:
    void check(const std::string& key, const network& of) {
        static const std::set<std::string_view> drivers{"", "bridge", "macvlan", "ipvlan", "host", "none"};
        const std::string path = "networks." + key;
        if (!drivers.contains(of.driver))
            fail(path + ".driver", "\"{}\" is not known; there are bridge, macvlan, ipvlan, host and none{}",
                of.driver, did_you_mean(of.driver, {drivers.begin(), drivers.end()}));
        if (!of.enable_ipv4 && !of.enable_ipv6)
            fail(path, "has neither IPv4 nor IPv6; leave enable_ipv4 out, or set enable_ipv6: true");
        if (!of.ipam_driver.empty() && of.ipam_driver != "default")
            fail(path + ".ipam.driver", "\"{}\" is not known; there is default", of.ipam_driver);
        unsigned four = 0;
        unsigned six = 0;
        for (const ipam_pool& pool : of.pools)
            ++(pool.subnet.find(':') == std::string::npos ? four : six);
        if (four > 1 || six > 1)
            fail(path + ".ipam.config", "a network has one IPv4 and one IPv6 subnet; {} and {} are given",
                four, six);
        if (six > 0 && !of.enable_ipv6)
            fail(path + ".ipam.config", "has an IPv6 subnet, but enable_ipv6 is not true");
        check_pools(of, [&](const std::string& at, const std::string& message) {
            fail(fmt::format("{}.{}", path, at), "{}", message);
        });
    }

    /// `key`: below the service, or of the project when there is none.
    template <typename... Values>
    void fail(std::string_view key, fmt::format_string<Values...> message, Values&&... values) {
        std::string path = path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
        wrong_.push_back({.at = place_(path),
            .path = path,
            .message = fmt::format(message, std::forward<Values>(values)...)});
    }

    /// A limit is deploy's where that says it: what the service says beside it does not count.
    std::string where_said(const std::string& key) const {
        static const std::map<std::string_view, std::string_view> in_deploy{
            {"cpus", "deploy.resources.limits.cpus"}, {"mem_limit", "deploy.resources.limits.memory"},
            {"pids_limit", "deploy.resources.limits.pids"},
            {"mem_reservation", "deploy.resources.reservations.memory"}};
        const auto found = in_deploy.find(key);
        if (found == in_deploy.end())
            return key;
        const std::string path = fmt::format("{}.{}", path_, found->second);
        const position own = place_(path);
        const position whole =
            place_(path.substr(0, path.rfind('.'))); // that of the next above it that is there
        return own.line == whole.line && own.column == whole.column ? key : std::string(found->second);
    }

    void image(const service& of) {
        if (of.image.empty())
            fail("image", "is missing; images are not built yet by this version of composed");
        if (of.pull_policy == "build")
            fail("pull_policy", "images are not built yet by this version of composed");
    }

    void preparations(const service& of) {
        for (std::size_t at = 0; at < of.pre_start.size(); ++at)
            if (of.pre_start[at].work.command.empty() && of.pre_start[at].image == of.image)
                fail(fmt::format("pre_start[{}]", at),
                    "has neither a command nor an image of its own: it would do what the service does");
        if (!of.pre_start.empty() && of.scheduled)
            fail("pre_start", "a service that runs by its schedule has none; let its command do that");
    }

    void process(const service& of) {
        if (!of.stop_signal.empty() && !is_signal(of.stop_signal))
            fail("stop_signal", "\"{}\" is no signal; write a name like SIGTERM or a number", of.stop_signal);
    }

    void names(const service& of) {
        if (!of.container_name.empty() && !is_container_name(of.container_name))
            fail("container_name",
                "\"{}\" is no name for a container; it has letters, digits, _ . -, a letter or digit first",
                of.container_name);
        for (const auto& [key, name] :
            {std::pair("hostname", &of.hostname), std::pair("domainname", &of.domainname)})
            if (!name->empty() && !is_host_name(*name))
                fail(key, "{:?} is no name for a host; it has up to {} letters, digits, _ . -", *name,
                    HOST_NAME_MAX);
        for (std::size_t index = 0; index < of.extra_hosts.size(); ++index) {
            const std::string key = fmt::format("extra_hosts[{}]", index);
            const std::string& entry = of.extra_hosts[index];
            const auto equals = std::min(entry.find('='), entry.size());
            const std::string address = entry.substr(std::min(equals + 1, entry.size()));
            const std::string name = entry.substr(0, equals);
            if (!is_host_name(name))
                fail(key, "{:?} is no name for a host", name);
            if (address != "host-gateway" && !is_address(address))
                fail(key, "\"{}\" is neither an IP address nor host-gateway", address);
        }
    }

    void networks(const service& of) {
        const bool joins =
            of.network_mode.starts_with("service:") || of.network_mode.starts_with("container:");
        static const std::set<std::string_view> modes{"", "bridge", "host", "none"};
        const std::string meant = did_you_mean(of.network_mode, {modes.begin(), modes.end()});
        if (!modes.contains(of.network_mode) && !joins)
            fail("network_mode",
                "\"{}\" is not known; there are bridge, host, none, service:NAME and container:NAME{}{}",
                of.network_mode, meant.empty() ? ". Other networks go under networks" : "", meant);
        if (joins && !of.ports.empty())
            fail("ports", "are those of the network that it joins: publish them at {}", of.network_mode);
        // As dockerd has it («conflicting options»).
        if (joins || of.network_mode == "host")
            for (const auto& [key, given] : {std::pair("links", !of.links.empty()),
                     std::pair("external_links", !of.external_links.empty()),
                     std::pair("mac_address", !of.mac_address.empty()),
                     std::pair("dns", joins && !of.dns.empty()),
                     std::pair("extra_hosts", joins && !of.extra_hosts.empty())})
                if (given)
                    fail(key, "conflicts with network_mode: {}, whose network it has as that is; {}",
                        of.network_mode, joins ? "say it there" : "leave it out");
        if (of.network_mode == "none")
            for (const std::string& entry : of.extra_hosts)
                if (entry.ends_with("=host-gateway"))
                    fail("extra_hosts", "{:?}: with network_mode: none nothing leads to the host", entry);
        for (const auto& [key, how] : of.networks)
            endpoint("networks." + key, how);
        if (!of.mac_address.empty() && !is_mac_address(of.mac_address))
            fail("mac_address", "\"{}\" is no hardware address like 02:42:ac:11:00:02", of.mac_address);
        for (const std::string& server : of.dns)
            if (!is_address(server))
                fail("dns", "\"{}\" is no IP address", server);
    }

    void endpoint(const std::string& path, const service_network& how) {
        const auto address = [&](std::string_view key, const std::string& text, int family) {
            if (!text.empty() && !is_address_of(text, family))
                fail(fmt::format("{}.{}", path, key), "\"{}\" is no {} address", text,
                    family == AF_INET ? "IPv4" : "IPv6");
        };
        address("ipv4_address", how.ipv4_address, AF_INET);
        address("ipv6_address", how.ipv6_address, AF_INET6);
        for (const std::string& each : how.link_local_ips)
            if (!is_address(each))
                fail(path + ".link_local_ips", "\"{}\" is no IP address", each);
        if (!how.mac_address.empty() && !is_mac_address(how.mac_address))
            fail(path + ".mac_address", "\"{}\" is no hardware address like 02:42:ac:11:00:02",
                how.mac_address);
        for (const auto& [key, value] : how.driver_opts)
            if (key != "com.docker.network.endpoint.sysctls" && key != "com.docker.network.endpoint.ifname")
                fail(fmt::format("{}.driver_opts.{}", path, key),
                    "is not known; there are com.docker.network.endpoint.sysctls and "
                    "com.docker.network.endpoint.ifname");
    }

    /// Without an address a port is published on both families.
    static bool overlap(const std::string& one, const std::string& other) {
        const auto is_ipv6 = [](const std::string& address) {
            return address.find(':') != std::string::npos;
        };
        if (one.empty() || other.empty() || one == other)
            return true;
        const bool any = one == "0.0.0.0" || other == "0.0.0.0" || one == "::" || other == "::";
        return any && is_ipv6(one) == is_ipv6(other);
    }

    void ports(const service& of) {
        std::map<std::string, std::vector<std::string>> taken; // addresses by port
        for (const port& each : of.ports) {
            if (each.published.empty() || each.published == "0" ||
                each.published.find('-') != std::string::npos)
                continue; // one that is free, of a range the first
            const std::string name = fmt::format("{}/{}", each.published, each.protocol);
            std::vector<std::string>& addresses = taken[name];
            if (std::any_of(addresses.begin(), addresses.end(),
                    [&](const std::string& other) { return overlap(each.host_ip, other); }))
                fail("ports", "port {} is published twice", name);
            addresses.push_back(each.host_ip);
        }
    }

    void mounts(const service& of) {
        for (std::size_t index = 0; index < of.mounts.size(); ++index) {
            const mount& each = of.mounts[index];
            const std::string key = fmt::format("volumes[{}]", index);
            if (!each.target.starts_with('/'))
                fail(key, "the target \"{}\" must be an absolute path", each.target);
            if (each.type == mount_type::cluster || each.type == mount_type::npipe)
                fail(key, "{}: type {} {}; there are bind, volume, tmpfs and image", each.target,
                    each.type == mount_type::npipe ? "npipe" : "cluster",
                    each.type == mount_type::npipe ? "is of Windows" : "is of Swarm");
            if (each.type == mount_type::image && each.source.empty())
                fail(key, "{}: type image needs the image as its source", each.target);
            if (!each.subpath.empty() && (each.subpath.starts_with('/') || leads_up(each.subpath)))
                fail(key, "{}: subpath \"{}\" must be relative, without ..", each.target, each.subpath);
            bind_options(key, each);
        }
        for (std::size_t index = 0; index < of.volumes_from.size(); ++index)
            volumes_from(of, fmt::format("volumes_from[{}]", index), of.volumes_from[index]);
    }

    static bool leads_up(const std::string& path) {
        const std::filesystem::path parts(path);
        return std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part == ".."; });
    }

    void bind_options(const std::string& key, const mount& of) {
        const bool of_read_only = of.recursive == "writable" || of.recursive == "readonly";
        if (of_read_only && !of.read_only)
            fail(key + ".bind.recursive",
                "\"{}\" says what read_only means for the mounts below; set read_only: true", of.recursive);
        static const std::vector<std::string_view> known{
            "private", "rprivate", "shared", "rshared", "slave", "rslave"};
        if (!of.propagation.empty() && std::find(known.begin(), known.end(), of.propagation) == known.end())
            fail(key + ".bind.propagation", "\"{}\" is not one of {}{}", of.propagation,
                fmt::join(known, ", "), did_you_mean(of.propagation, known));
        if (of.recursive == "readonly" && !of.propagation.empty() && of.propagation != "rprivate")
            fail(key + ".bind.recursive", "readonly goes with propagation rprivate only");
    }

    void volumes_from(const service& of, const std::string& key, const std::string& entry) {
        const bool of_container = entry.starts_with("container:");
        const std::string rest = of_container ? entry.substr(10) : entry;
        const auto colon = rest.find(':');
        const std::string mode = colon == std::string::npos ? "rw" : rest.substr(colon + 1);
        const std::string name = rest.substr(0, colon);
        if (name.empty() || (mode != "ro" && mode != "rw"))
            fail(key, "\"{}\": write SERVICE[:ro] or container:NAME[:ro]", entry);
        else if (!of_container && !of.depends_on.contains(name))
            fail(key, "\"{}\" must be among depends_on as well", name);
    }

    void contents(std::string_view list, const std::vector<content_reference>& used) {
        constexpr std::uint32_t most_mode = 07777;
        if (used.size() > most_contents)
            fail(list, "there are more than {} of them", most_contents);
        for (std::size_t index = 0; index < used.size(); ++index) {
            const content_reference& each = used[index];
            for (const auto& [member, id] : {std::pair("uid", &each.uid), std::pair("gid", &each.gid)}) {
                std::uint32_t number = 0;
                const char* const begin = id->data();
                const auto [end, failure] = std::from_chars(begin, begin + id->size(), number);
                if (!id->empty() && (failure != std::errc() || end != begin + id->size()))
                    fail(fmt::format("{}[{}].{}", list, index, member), "\"{}\" is no number of a {}", *id,
                        member == std::string_view("uid") ? "user" : "group");
            }
            if (each.mode.value_or(0) > most_mode)
                fail(fmt::format("{}[{}].mode", list, index), "{:o} is no mode of a file", *each.mode);
        }
    }

    void sources(std::string_view list, const std::map<std::string, content_source>& all) {
        for (const auto& [key, each] : all) {
            const std::string path = fmt::format("{}.{}", list, key);
            if (!is_key(key) || (each.external && !is_key(each.name)))
                fail(path, "a name has letters, digits, _ . -");
            for (const auto& [member, given] : {std::pair("file", !each.file.empty()),
                     {"environment", !each.environment.empty()}, {"content", each.content.has_value()}})
                if (each.external && given)
                    fail(fmt::format("{}.{}", path, member),
                        "cannot be beside external: true, which means one that the engine keeps (compose {} "
                        "create); leave out one of them",
                        list == "secrets" ? "secret" : "configs");
            if (!each.driver.empty())
                fail(path + ".driver", "\"{}\" is not supported; there are file, environment and external",
                    each.driver);
            if (!each.template_driver.empty())
                fail(path + ".template_driver", "\"{}\" is not supported: contents are taken as they are",
                    each.template_driver);
            if (each.content && each.content->bytes.size() > most_content)
                fail(path, "has more than {} KiB, which is the most that fits; mount a volume instead",
                    most_content >> 10U);
        }
    }

    void health(const service& of) {
        if (!of.health || of.health->test.empty())
            return;
        const std::string& kind = of.health->test.front();
        if (kind != "NONE" && kind != "CMD" && kind != "CMD-SHELL")
            fail("healthcheck.test", "\"{}\" is no kind of test; there are CMD, CMD-SHELL and NONE", kind);
        else if (kind != "NONE" && of.health->test.size() < 2)
            fail("healthcheck.test", "{} needs something to run after it", kind);
    }

    void log(const service& of) {
        if (of.log)
            understand_logging(*of.log, [this](const std::string& key, const std::string& message) {
                fail("logging." + key, "{}", message);
            });
    }

    const project& project_;
    const place_lookup& place_;
    std::vector<diagnostic>& wrong_;
    std::string path_; // of the service that is looked at
};

} // namespace

bool is_container_name(const std::string& name) {
    return name.size() > 1 && is_letter_or_digit(name[0]) &&
           std::all_of(name.begin(), name.end(),
               [](char c) { return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-'; });
}

void check_supported(const project& of, const place_lookup& place, std::vector<diagnostic>& wrong) {
    support_checker(of, place, wrong).run();
}

} // namespace compose
