#include "compose/load/fill.hpp"

#include "compose/load/scalar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace compose {

namespace {

void set_text(node& map, std::string_view key, std::string text) {
    if (node* there = map.find(key); there != nullptr && there->is_scalar())
        there->text = std::move(text);
    else if (there != nullptr)
        *there = text_node(*there, std::move(text));
    else
        add_member(map, std::string(key), text_node(map, std::move(text)));
}

/// The map under a key, made when there is none.
node& map_at(node& map, std::string_view key) {
    node* there = map.find(key);
    if (there == nullptr) {
        add_member(map, std::string(key), map_node(map));
        there = map.find(key);
    } else if (there->is_null()) {
        *there = map_node(*there);
    }
    return *there;
}

/// Merged by name, they are printed as Docker Compose does: a list of NAME=ADDRESS. In the form that they are
/// written in, where variables stay, they are left.
void list_hosts(node& of) {
    node* hosts = of.find("extra_hosts");
    if (hosts == nullptr || !hosts->is_map() ||
        std::any_of(hosts->entries.begin(), hosts->entries.end(),
            [](const auto& entry) { return !entry.second.is_list(); }))
        return;
    std::sort(hosts->entries.begin(), hosts->entries.end(),
        [](const auto& a, const auto& b) { return a.first < b.first; });
    node list = list_node(*hosts);
    for (const auto& [name, addresses] : hosts->entries)
        for (const node& each : addresses.items)
            list.items.push_back(text_node(each, fmt::format("{}={}", name, each.text)));
    *hosts = std::move(list);
}

class filler {
  public:
    filler(const std::string& name, const project_place& place) : name_(name), place_(place) {}

    void run(node& tree) {
        set_text(tree, "name", name_);
        if (node* services = tree.find("services"); services != nullptr && services->is_map())
            for (auto& [key, each] : services->entries)
                if (each.is_map())
                    service(each, tree);
        for (const std::string_view kind : {"networks", "volumes", "secrets", "configs"})
            if (node* resources = tree.find(kind); resources != nullptr && resources->is_map())
                for (auto& [key, each] : resources->entries)
                    resource(key, each);
    }

  private:
    void service(node& of, node& tree) {
        list_hosts(of);
        networks(of, tree);
        implied_dependencies(of);
        if (node* secrets = of.find("secrets"))
            for (node& each : secrets->items)
                if (each.text_at("target").empty())
                    set_text(each, "target", "/run/secrets/" + each.text_at("source"));
        if (of.text_at("pull_policy") == "if_not_present")
            set_text(of, "pull_policy", "missing");
        if (node* build = of.find("build"); build != nullptr && build->is_map()) {
            list_hosts(*build);
            if (build->text_at("context").empty())
                set_text(*build, "context", absolute_path(".", place_));
            if (build->text_at("dockerfile").empty() && build->find("dockerfile_inline") == nullptr)
                set_text(*build, "dockerfile", "Dockerfile");
        }
    }

    static void networks(node& of, node& tree) {
        if (!of.text_at("network_mode").empty() || of.find("provider") != nullptr)
            return;
        node& own = map_at(of, "networks");
        if (own.entries.empty())
            add_member(own, "default", node{});
        if (own.find("default") != nullptr && map_at(tree, "networks").find("default") == nullptr)
            add_member(map_at(tree, "networks"), "default", node{});
    }

    static void depend(node& of, const std::string& name, bool restart) {
        node& all = map_at(of, "depends_on");
        if (all.find(name) != nullptr)
            return;
        node how = map_node(all);
        add_member(how, "condition", text_node(how, "service_started"));
        if (restart)
            add_member(how, "restart", literal_node(how, "true"));
        add_member(how, "required", literal_node(how, "true"));
        add_member(all, name, std::move(how));
    }

    static void implied_dependencies(node& of) {
        if (const node* written = of.find("depends_on"); written != nullptr && written->is_map())
            for (auto& [name, how] : of.find("depends_on")->entries)
                if (how.is_map() && how.find("required") == nullptr)
                    add_member(how, "required", literal_node(how, "true"));
        if (const node* links = of.find("links"))
            for (const node& each : std::vector<node>(links->items))
                depend(of, each.text.substr(0, each.text.find(':')), true);
        for (const std::string_view key : {"network_mode", "ipc", "pid", "uts", "cgroup"})
            if (const std::string shared = of.text_at(key); shared.starts_with("service:"))
                depend(of, shared.substr(8), true);
        if (const node* from = of.find("volumes_from"))
            for (const node& each : std::vector<node>(from->items))
                if (!each.text.starts_with("container:"))
                    depend(of, each.text.substr(0, each.text.find(':')), false);
    }

    void resource(const std::string& key, node& of) const {
        if (of.is_null())
            of = map_node(of);
        const bool external = of.text_at("external") == "true";
        if (of.text_at("name").empty())
            set_text(of, "name", external ? key : fmt::format("{}_{}", name_, key));
    }

    const std::string& name_;
    const project_place& place_;
};

} // namespace

void fill(node& tree, const std::string& project_name, const project_place& place) {
    filler(project_name, place).run(tree);
}

void fill_name(node& tree, const std::string& project_name) {
    set_text(tree, "name", project_name);
    if (node* services = tree.find("services"))
        for (auto& [name, service] : services->entries)
            list_hosts(service);
}

void drop_passed_arguments(node& tree) {
    node* services = tree.find("services");
    if (services == nullptr)
        return;
    for (auto& [name, service] : services->entries) {
        node* build = service.find("build");
        node* arguments = build == nullptr ? nullptr : build->find("args");
        if (arguments == nullptr)
            continue;
        std::erase_if(
            arguments->items, [](const node& each) { return each.text.find('=') == std::string::npos; });
        std::erase_if(arguments->entries, [](const auto& each) { return each.second.is_null(); });
    }
}

node take_disabled(node& tree, const std::set<std::string>& active, const std::set<std::string>& named) {
    node* services = tree.find("services");
    node disabled;
    disabled.kind = node_kind::map;
    if (services == nullptr)
        return disabled;
    const auto off = [&](const auto& entry) {
        const node* profiles = entry.second.find("profiles");
        if (profiles == nullptr || profiles->items.empty() || active.contains("*") ||
            named.contains(entry.first))
            return false;
        return std::none_of(profiles->items.begin(), profiles->items.end(),
            [&](const node& each) { return active.contains(each.text); });
    };
    for (auto& entry : services->entries)
        if (off(entry))
            disabled.entries.push_back(entry);
    std::erase_if(services->entries, off);
    for (auto& [name, service] : services->entries)
        if (node* dependencies = service.find("depends_on"))
            // A dependency that is off and not required is not there at all.
            std::erase_if(dependencies->entries, [&](const auto& entry) {
                return disabled.find(entry.first) != nullptr && entry.second.text_at("required") == "false";
            });
    return disabled;
}

namespace {

void collect_sources(const node& service, std::string_view key, std::set<std::string>& into) {
    if (const node* references = service.find(key))
        for (const node& each : references->items)
            if (key != "volumes" || each.text_at("type") == "volume")
                into.insert(each.text_at("source"));
}

} // namespace

void prune(node& tree) {
    std::set<std::string> networks;
    std::set<std::string> volumes;
    std::set<std::string> secrets;
    std::set<std::string> configs;
    if (const node* services = tree.find("services"))
        for (const auto& [name, service] : services->entries) {
            if (const node* own = service.find("networks"))
                for (const auto& [key, how] : own->entries)
                    networks.insert(key);
            collect_sources(service, "volumes", volumes);
            collect_sources(service, "secrets", secrets);
            collect_sources(service, "configs", configs);
            if (const node* build = service.find("build"))
                collect_sources(*build, "secrets", secrets);
        }
    const std::array<std::pair<std::string_view, const std::set<std::string>*>, 4> kinds{
        {{"networks", &networks}, {"volumes", &volumes}, {"secrets", &secrets}, {"configs", &configs}}};
    for (const auto& kind : kinds)
        if (node* resources = tree.find(kind.first))
            std::erase_if(
                resources->entries, [&](const auto& entry) { return !kind.second->contains(entry.first); });
}

} // namespace compose
