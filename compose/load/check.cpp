#include "compose/load/check.hpp"

#include "compose/load/short_syntax.hpp"
#include "compose/model/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace compose {

namespace {

class checker {
  public:
    checker(const project& of, const place_lookup& place, std::vector<diagnostic>& wrong)
        : project_(of), place_(place), wrong_(wrong) {}

    void run() {
        for (const auto& [name, service] : project_.services) {
            networks(service);
            mounts(service);
            contents(service, "secrets", "secret", service.secrets, project_.secrets);
            contents(service, "configs", "config", service.configs, project_.configs);
            ports(service);
            dependencies(service);
            alone(service);
            check_schedule(
                project_, service, [this, &of = service](const std::string& key, const std::string& message) {
                    fail(of, key, message);
                });
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
    /// `section`: the top-level key in which what it refers to is not.
    void fail(const service& of, std::string_view key, std::string message, std::string_view section = {}) {
        std::string path = fmt::format("services.{}{}{}", of.name, key.empty() ? "" : ".", key);
        position at = place_(path);
        wrong_.push_back({.at = std::move(at),
            .path = std::move(path),
            .message = std::move(message),
            .section = std::string(section)});
    }

    template <typename Map>
    std::string near(const std::string& name, const Map& among) {
        constexpr std::size_t most_helped = 100; // who has more to mend has another trouble than typing
        if (wrong_.size() > most_helped)
            return {};
        std::vector<std::string_view> known;
        known.reserve(among.size());
        for (const auto& [key, value] : among)
            known.push_back(key);
        return did_you_mean(name, known);
    }

    void networks(const service& of) {
        for (const auto& [key, how] : of.networks) {
            if (!project_.networks.contains(key))
                fail(of, "networks." + key,
                    fmt::format("refers to undefined network {}{}", key, near(key, project_.networks)),
                    "networks");
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
                        each.source, near(each.source, project_.volumes)),
                    "volumes");
            targets.emplace(each.target, key);
        }
        for (std::size_t index = 0; index < of.tmpfs.size(); ++index) {
            const std::string target = of.tmpfs[index].substr(0, of.tmpfs[index].find(':'));
            if (const auto twin = targets.find(target); twin != targets.end())
                fail(of, fmt::format("tmpfs[{}]", index),
                    fmt::format("\"{}\" is the target of {} already", target, twin->second));
            targets.emplace(target, fmt::format("tmpfs[{}]", index));
        }
    }

    void contents(const service& of, std::string_view list, std::string_view kind,
        const std::vector<content_reference>& used, const std::map<std::string, content_source>& all) {
        for (std::size_t index = 0; index < used.size(); ++index)
            if (!all.contains(used[index].source))
                fail(of, fmt::format("{}[{}]", list, index),
                    fmt::format("refers to undefined {} {}{}", kind, used[index].source,
                        near(used[index].source, all)),
                    list);
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

    /// The keys that make it a dependency: others than depends_on imply one.
    std::vector<std::string> places_of_dependency(const service& of, const std::string& name) {
        std::vector<std::string> keys;
        for (const auto& [key, entries] :
            {std::pair("links", &of.links), std::pair("volumes_from", &of.volumes_from)})
            for (std::size_t index = 0; index < entries->size(); ++index)
                if (entries->at(index).substr(0, entries->at(index).find(':')) == name)
                    keys.push_back(fmt::format("{}[{}]", key, index));
        for (const auto& [key, mode] : {std::pair("network_mode", &of.network_mode), {"ipc", &of.ipc},
                 {"pid", &of.pid}, {"uts", &of.uts}, {"cgroup", &of.cgroup}})
            if (*mode == "service:" + name)
                keys.emplace_back(key);
        // What is implied stands where depends_on does.
        const std::string all = fmt::format("services.{}.depends_on", of.name);
        const position own = place_(all + "." + name);
        const position whole = place_(all);
        if (keys.empty() || own.line != whole.line || own.column != whole.column)
            keys.push_back("depends_on." + name);
        return keys;
    }

    void dependencies(const service& of) {
        for (const auto& [name, how] : of.depends_on) {
            const auto off = project_.disabled_services.find(name);
            const bool there = project_.services.contains(name) || off != project_.disabled_services.end();
            const bool is_off = how.required && off != project_.disabled_services.end();
            if (name != of.name && there && !is_off)
                continue;
            for (const std::string& key : places_of_dependency(of, name))
                if (name == of.name)
                    fail(of, key, "a service cannot depend on itself");
                else if (is_off)
                    fail(of, key,
                        fmt::format("service \"{}\" is off; put it on with --profile {}", name,
                            off->second.profiles.front()));
                else
                    fail(of, key,
                        fmt::format("{} undefined service \"{}\"{}",
                            key.starts_with("depends_on") ? "depends on" : "refers to", name,
                            near(name, project_.services)),
                        "services");
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

} // namespace compose
