#include "compose/load/check.hpp"

#include "compose/load/short_syntax.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstring>
#include <map>

namespace compose {

namespace {

bool is_address(const std::string& text) {
    in6_addr parsed{};
    return ::inet_pton(AF_INET, text.c_str(), &parsed) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), &parsed) == 1;
}

class checker {
  public:
    checker(const project& of, const place_lookup& place, std::vector<diagnostic>& wrong)
        : project_(of), place_(place), wrong_(wrong) {}

    void run() {
        for (const auto& [name, service] : project_.services) {
            networks(service);
            mounts(service);
            ports(service);
            dependencies(service);
            alone(service);
        }
        for (const auto& [key, volume] : project_.volumes)
            if (volume.external &&
                (!volume.driver.empty() || !volume.driver_opts.empty() || !volume.labels.empty()))
                wrong_.push_back({.at = place_("volumes." + key),
                    .path = "volumes." + key,
                    .message =
                        "an external volume takes no driver, driver_opts or labels: it is made elsewhere"});
        container_names();
        cycles();
    }

  private:
    void fail(const service& of, std::string_view key, std::string message) {
        std::string path = fmt::format("services.{}{}{}", of.name, key.empty() ? "" : ".", key);
        wrong_.push_back({.at = place_(path), .path = std::move(path), .message = std::move(message)});
    }

    template <typename Map>
    std::string near(const std::string& name, const Map& among) {
        std::vector<std::string_view> known;
        known.reserve(among.size());
        for (const auto& [key, value] : among)
            known.push_back(key);
        const std::string found = nearest(name, known);
        return found.empty() ? std::string() : fmt::format(", did you mean \"{}\"?", found);
    }

    void networks(const service& of) {
        for (const auto& [key, how] : of.networks) {
            if (!project_.networks.contains(key))
                fail(of, "networks." + key,
                    fmt::format("refers to undefined network {}{}", key, near(key, project_.networks)));
        }
        if (!of.network_mode.empty() && !of.networks.empty())
            fail(of, "networks", "network_mode and networks exclude one another");
    }

    void mounts(const service& of) {
        std::map<std::string, std::string> targets;
        for (std::size_t index = 0; index < of.mounts.size(); ++index) {
            const mount& each = of.mounts[index];
            const std::string key = fmt::format("volumes[{}]", index);
            if (each.target.empty())
                fail(of, key, "target says where in the container; it must be there");
            if (each.type == mount_type::bind && each.source.empty())
                fail(of, key, "a bind needs a source");
            if (each.type == mount_type::volume && !each.source.empty() &&
                !project_.volumes.contains(each.source))
                fail(of, key,
                    fmt::format(
                        "refers to undefined volume {}{}; name it under the top-level volumes, or begin a "
                        "path with ./",
                        each.source, near(each.source, project_.volumes)));
            targets.emplace(each.target, key);
        }
        for (std::size_t index = 0; index < of.tmpfs.size(); ++index) {
            const std::string target = of.tmpfs[index].substr(0, of.tmpfs[index].find(':'));
            if (const auto twin = targets.find(target); twin != targets.end())
                fail(of, fmt::format("tmpfs[{}]", index),
                    fmt::format("\"{}\" is the target of {} already", target, twin->second));
        }
    }

    void ports(const service& of) {
        for (std::size_t index = 0; index < of.ports.size(); ++index) {
            const port& each = of.ports[index];
            const std::string key = fmt::format("ports[{}]", index);
            if (each.target == 0)
                fail(of, key, "target says which port of the container; it must be there");
            if (!each.host_ip.empty() && !is_address(each.host_ip))
                fail(of, key, fmt::format("\"{}\" is no IP address", each.host_ip));
        }
    }

    void dependencies(const service& of) {
        for (const auto& [name, how] : of.depends_on) {
            const std::string key = "depends_on." + name;
            if (name == of.name)
                fail(of, key, "a service cannot depend on itself");
            else if (const auto off = project_.disabled_services.find(name);
                     how.required && off != project_.disabled_services.end())
                fail(of, key,
                    fmt::format("service \"{}\" is off; put it on with --profile {}", name,
                        off->second.profiles.front()));
            else if (!project_.services.contains(name) && !project_.disabled_services.contains(name))
                fail(of, key,
                    fmt::format(
                        "depends on undefined service \"{}\"{}", name, near(name, project_.services)));
        }
    }

    void alone(const service& of) {
        if (!of.container_name.empty() && of.scale > 1)
            fail(of, "container_name", "gives one container its name, so scale cannot be more than 1");
    }

    void container_names() {
        std::map<std::string, std::string> owners;
        for (const auto& [name, service] : project_.services) {
            if (service.container_name.empty())
                continue;
            const auto [owner, fresh] = owners.emplace(service.container_name, name);
            if (!fresh)
                fail(service, "container_name",
                    fmt::format("\"{}\" is the name of service \"{}\" already", service.container_name,
                        owner->second));
        }
    }

    void cycles() {
        std::map<std::string, int> state; // 1: on the way, 2: done
        std::vector<std::string> way;
        for (const auto& [name, service] : project_.services)
            if (walk(name, state, way))
                return; // one is enough to see
    }

    bool walk(const std::string& name, std::map<std::string, int>& state, std::vector<std::string>& way) {
        if (state[name] == 2 || !project_.services.contains(name))
            return false;
        way.push_back(name);
        if (state[name] == 1) {
            const auto begin = std::find(way.begin(), way.end(), name);
            std::string circle;
            for (auto at = begin; at != way.end(); ++at)
                circle += (circle.empty() ? "" : " -> ") + *at;
            fail(project_.services.at(name), "depends_on", "dependency cycle detected: " + circle);
            return true;
        }
        state[name] = 1;
        for (const auto& [dependency, how] : project_.services.at(name).depends_on)
            if (dependency != name && walk(dependency, state, way))
                return true;
        state[name] = 2;
        way.pop_back();
        return false;
    }

    const project& project_;
    const place_lookup& place_;
    std::vector<diagnostic>& wrong_;
};

} // namespace

void check_consistency(const project& of, const place_lookup& place, std::vector<diagnostic>& wrong) {
    checker(of, place, wrong).run();
}

namespace {

bool is_container_name(const std::string& name) {
    const auto letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
    return name.size() > 1 && letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
        return letter(c) || c == '_' || c == '.' || c == '-';
    });
}

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

} // namespace

void check_supported(const project& of, const place_lookup& place, std::vector<diagnostic>& wrong) {
    const auto fail = [&](std::string path, std::string message) {
        wrong.push_back({.at = place(path), .path = path, .message = std::move(message)});
    };
    for (const auto& [name, service] : of.services) {
        const std::string path = "services." + name;
        if (!service.container_name.empty() && !is_container_name(service.container_name))
            fail(path + ".container_name", fmt::format("\"{}\" is no name for a container; it has letters, "
                                                       "digits, _ . -, a letter or digit first",
                                               service.container_name));
        if (!service.stop_signal.empty() && !is_signal(service.stop_signal))
            fail(path + ".stop_signal",
                fmt::format(
                    "\"{}\" is no signal; write a name like SIGTERM or a number", service.stop_signal));
        if (service.image.empty())
            fail(path + ".image", "is missing; images are not built yet by this version of composed");
        if (!service.network_mode.empty() && service.network_mode != "host" && service.network_mode != "none")
            fail(path + ".network_mode",
                fmt::format("\"{}\" is not supported yet; there are host and none", service.network_mode));
        if (!service.pull_policy.empty() && service.pull_policy != "missing" &&
            service.pull_policy != "never")
            fail(path + ".pull_policy",
                fmt::format("\"{}\" is not supported yet; there are missing and never", service.pull_policy));
        for (const auto& [dependency, how] : service.depends_on)
            if (how.restart)
                fail(fmt::format("{}.depends_on.{}.restart", path, dependency), "is not supported yet");
        for (const auto& [key, how] : service.networks)
            if (!how.ipv4_address.empty() && !is_address(how.ipv4_address))
                fail(fmt::format("{}.networks.{}.ipv4_address", path, key),
                    fmt::format("\"{}\" is no IP address", how.ipv4_address));
        for (const std::string& server : service.dns)
            if (!is_address(server))
                fail(path + ".dns", fmt::format("\"{}\" is no IP address", server));
        for (const std::string& entry : service.extra_hosts)
            if (const std::string address = entry.substr(std::min(entry.find('=') + 1, entry.size()));
                address != "host-gateway" && !is_address(address))
                fail(path + ".extra_hosts",
                    fmt::format("\"{}\" is neither an IP address nor host-gateway", address));
        for (const mount& each : service.mounts)
            if (!each.target.starts_with('/'))
                fail(path + ".volumes",
                    fmt::format("the target \"{}\" must be an absolute path", each.target));
        for (const mount& each : service.mounts)
            if (each.type == mount_type::image)
                fail(path + ".volumes", "type image is not supported yet; there are bind, volume and tmpfs");
    }
    for (const auto& [key, volume] : of.volumes)
        if (!volume.driver.empty() && volume.driver != "local")
            fail("volumes." + key + ".driver",
                fmt::format(
                    "\"{}\" is not supported; there is local, which takes type, o and device as driver_opts",
                    volume.driver));
    for (const auto& [key, network] : of.networks)
        if (network.enable_ipv6 || !network.enable_ipv4)
            fail("networks." + key, "enable_ipv6, and enable_ipv4 switched off, are not supported yet");
}

} // namespace compose
