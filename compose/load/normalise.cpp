#include "compose/load/normalise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace compose {

namespace {

class normaliser {
  public:
    normaliser(decoded& tree, const std::filesystem::path& directory, const std::string& home,
        std::vector<diagnostic>& wrong)
        : tree_(tree), project_(tree.value), directory_(directory), home_(home), wrong_(wrong) {}

    void run() {
        for (auto& [name, service] : project_.services) {
            service_networks(service);
            service_mounts(service);
            dependencies(service);
        }
        for (auto& [key, network] : project_.networks)
            if (network.name.empty())
                network.name = network.external ? key : fmt::format("{}_{}", project_.name, key);
        for (auto& [key, volume] : project_.volumes)
            if (volume.name.empty())
                volume.name = volume.external ? key : fmt::format("{}_{}", project_.name, key);
        container_names();
        cycles();
    }

  private:
    void fail(const service& of, std::string_view key, std::string message) {
        wrong_.push_back({.at = tree_.services_at[of.name],
            .path = fmt::format("services.{}.{}", of.name, key),
            .message = std::move(message)});
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

    void service_networks(service& of) {
        if (of.network_mode.empty() && of.networks.empty())
            of.networks["default"];
        for (const auto& [key, how] : of.networks) {
            if (key == "default")
                project_.networks.try_emplace("default");
            else if (!project_.networks.contains(key))
                fail(of, "networks",
                    fmt::format("refers to undefined network {}{}", key, near(key, project_.networks)));
        }
    }

    void service_mounts(service& of) {
        for (mount& each : of.mounts) {
            if (each.type == mount_type::bind)
                each.source = absolute(each.source);
            else if (each.type == mount_type::volume && !each.source.empty() &&
                     !project_.volumes.contains(each.source))
                fail(of, "volumes",
                    fmt::format("refers to undefined volume {}{}; name it under the top-level volumes, or "
                                "begin a path "
                                "with ./",
                        each.source, near(each.source, project_.volumes)));
            each.target = std::filesystem::path(each.target).lexically_normal().native();
        }
    }

    std::string absolute(const std::string& path) const {
        if (path == "~" || path.starts_with("~/"))
            return (std::filesystem::path(home_) / path.substr(std::min<std::size_t>(2, path.size())))
                .lexically_normal();
        std::string full = (directory_ / path).lexically_normal();
        if (full.size() > 1 && full.ends_with('/'))
            full.pop_back();
        return full;
    }

    void dependencies(const service& of) {
        for (const auto& [name, how] : of.depends_on) {
            if (name == of.name)
                fail(of, "depends_on", "a service cannot depend on itself");
            else if (how.required && !project_.services.contains(name))
                fail(of, "depends_on",
                    fmt::format(
                        "depends on undefined service \"{}\"{}", name, near(name, project_.services)));
        }
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

    decoded& tree_;
    project& project_;
    const std::filesystem::path& directory_;
    const std::string& home_;
    std::vector<diagnostic>& wrong_;
};

} // namespace

void normalise(decoded& tree, const std::filesystem::path& directory, const std::string& home,
    std::vector<diagnostic>& wrong) {
    normaliser(tree, directory, home, wrong).run();
}

void select_profiles(project& of, const std::set<std::string>& active, const std::set<std::string>& named) {
    const auto off = [&](const service& each) {
        if (each.profiles.empty() || active.contains("*") || named.contains(each.name))
            return false;
        return std::none_of(each.profiles.begin(), each.profiles.end(),
            [&](const std::string& profile) { return active.contains(profile); });
    };
    for (auto each = of.services.begin(); each != of.services.end();) {
        const auto here = each++;
        if (off(here->second))
            of.disabled_services.insert(of.services.extract(here));
    }
    std::set<std::string> networks;
    std::set<std::string> volumes;
    for (auto& [name, service] : of.services) {
        // A dependency that is off and not required is not there at all.
        std::erase_if(service.depends_on,
            [&](const auto& entry) { return !of.services.contains(entry.first) && !entry.second.required; });
        for (const auto& [key, how] : service.networks)
            networks.insert(key);
        for (const mount& each : service.mounts)
            volumes.insert(each.source);
    }
    std::erase_if(of.networks, [&](const auto& entry) { return !networks.contains(entry.first); });
    std::erase_if(of.volumes, [&](const auto& entry) { return !volumes.contains(entry.first); });
}

} // namespace compose
