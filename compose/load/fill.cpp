#include "compose/load/fill.hpp"

#include "compose/load/scalar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_set>

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

/// Merged by name, it is printed as Docker Compose does: a sorted list of NAME=VALUE.
void list_pairs(node& of, std::string_view key) {
    node* pairs = of.find(key);
    if (pairs == nullptr || !pairs->is_map())
        return;
    node list = list_node(*pairs);
    for (const auto& [name, value] : pairs->entries) {
        if (value.is_null())
            list.items.push_back(text_node(*pairs, name));
        if (value.is_scalar())
            list.items.push_back(text_node(value, fmt::format("{}={}", name, value.text)));
        for (const node& each : value.items) {
            list.items.push_back(text_node(each, fmt::format("{}={}", name, each.text)));
            list.items.back().item = each.item;
        }
    }
    std::sort(
        list.items.begin(), list.items.end(), [](const node& a, const node& b) { return a.text < b.text; });
    *pairs = std::move(list);
}

class filler {
  public:
    explicit filler(const std::string& name) : name_(name) {}

    void run(node& tree) {
        set_name(tree, name_);
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
        networks(of, tree);
        implied_dependencies(of);
        if (node* steps = of.find("pre_start"); steps != nullptr && !of.text_at("image").empty())
            for (node& each : steps->items)
                if (each.text_at("image").empty())
                    set_text(each, "image", of.text_at("image"));
        if (of.text_at("pull_policy") == "if_not_present")
            set_text(of, "pull_policy", "missing");
        if (node* build = of.find("build"); build != nullptr && build->is_map())
            if (build->text_at("dockerfile").empty() && build->find("dockerfile_inline") == nullptr)
                set_text(*build, "dockerfile", "Dockerfile");
    }

    void networks(node& of, node& tree) {
        if (!of.text_at("network_mode").empty() || of.find("provider") != nullptr)
            return;
        node& own = map_at(of, "networks");
        if (own.entries.empty())
            add_member(own, "default", node{});
        if (default_there_ || own.find("default") == nullptr)
            return;
        default_there_ = true;
        if (map_at(tree, "networks").find("default") == nullptr)
            add_member(map_at(tree, "networks"), "default", map_node(tree));
    }

    static void depend(
        node& of, std::unordered_set<std::string>& known, const std::string& name, bool restart) {
        if (!known.insert(name).second)
            return;
        node& all = map_at(of, "depends_on");
        node how = map_node(all);
        add_member(how, "condition", text_node(how, "service_started"));
        add_member(how, "restart", literal_node(how, restart ? "true" : "false"));
        add_member(how, "required", literal_node(how, "true"));
        add_member(all, name, std::move(how));
    }

    /// SERVICE or SERVICE:ALIAS; with more it is the name of none.
    static std::string linked_service(const std::string& link) {
        return std::count(link.begin(), link.end(), ':') == 1 ? link.substr(0, link.find(':')) : link;
    }

    static void implied_dependencies(node& of) {
        std::unordered_set<std::string> known;
        if (const node* written = of.find("depends_on"))
            for (const auto& [name, how] : written->entries)
                known.insert(name);
        if (const node* links = of.find("links"))
            for (const node& each : std::vector<node>(links->items))
                depend(of, known, linked_service(each.text), true);
        for (const std::string_view key : {"network_mode", "ipc", "pid", "uts", "cgroup"})
            if (const std::string shared = of.text_at(key); shared.starts_with("service:"))
                depend(of, known, shared.substr(8), true);
        if (const node* from = of.find("volumes_from"))
            for (const node& each : std::vector<node>(from->items))
                if (!each.text.starts_with("container:"))
                    depend(of, known, each.text.substr(0, each.text.find(':')), false);
    }

    void resource(const std::string& key, node& of) const {
        if (of.is_null())
            of = map_node(of);
        const bool external = of.text_at("external") == "true";
        if (of.text_at("name").empty())
            set_text(of, "name", external ? key : fmt::format("{}_{}", name_, key));
    }

    const std::string& name_;
    bool default_there_ = false; // among the networks of the project
};

void default_context(node& service, const project_place& place) {
    if (node* build = service.find("build"); build != nullptr && build->is_map())
        if (build->text_at("context").empty())
            set_text(*build, "context", absolute_path(".", place));
}

void default_members(node& service, const project_place& place) {
    if (node* dependencies = service.find("depends_on"); dependencies != nullptr && dependencies->is_map())
        for (auto& [name, how] : dependencies->entries)
            if (how.is_map() && how.find("required") == nullptr)
                add_member(how, "required", literal_node(how, "true"));
    if (node* secrets = service.find("secrets"))
        for (node& each : secrets->items)
            if (each.text_at("target").empty())
                set_text(each, "target", "/run/secrets/" + each.text_at("source"));
    default_context(service, place);
}

} // namespace

void default_contexts(node& tree, const project_place& place) {
    if (node* services = tree.find("services"); services != nullptr && services->is_map())
        for (auto& [name, service] : services->entries)
            default_context(service, place);
}

void fill_defaults(node& tree, const project_place& place) {
    if (node* services = tree.find("services"); services != nullptr && services->is_map())
        for (auto& [name, service] : services->entries)
            if (service.is_map())
                default_members(service, place);
}

void fill(node& tree, const std::string& project_name) {
    filler(project_name).run(tree);
}

void copy_scale(node& tree) {
    node* services = tree.find("services");
    if (services == nullptr)
        return;
    for (auto& [name, service] : services->entries) {
        const node* scale = service.find("scale");
        node* deploy = service.find("deploy");
        if (scale != nullptr && scale->is_scalar() && deploy != nullptr && deploy->is_map() &&
            deploy->find("replicas") == nullptr)
            add_member(*deploy, "replicas", *scale);
    }
}

void set_name(node& tree, const std::string& project_name) {
    set_text(tree, "name", project_name);
}

void write_whole(node& tree) {
    for (const std::string_view kind : {"networks", "volumes"})
        if (node* resources = tree.find(kind); resources != nullptr && resources->is_map())
            for (auto& [key, each] : resources->entries)
                if (each.is_null())
                    each = map_node(each);
    node* services = tree.find("services");
    if (services == nullptr)
        return;
    for (auto& [name, service] : services->entries) {
        list_pairs(service, "extra_hosts");
        node* logging = service.find("logging");
        for (node* options :
            {logging == nullptr ? nullptr : logging->find("options"), service.find("storage_opt")})
            if (options != nullptr)
                for (auto& [key, option] : options->entries)
                    if (option.is_null())
                        option = text_node(option, {});
        if (node* build = service.find("build"); build != nullptr) {
            list_pairs(*build, "extra_hosts");
            list_pairs(*build, "ssh");
        }
    }
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

namespace {

bool is_off(const node& service, const std::set<std::string>& active) {
    const node* profiles = service.find("profiles");
    return profiles != nullptr && !profiles->items.empty() && !active.contains("*") &&
           std::none_of(profiles->items.begin(), profiles->items.end(),
               [&](const node& each) { return active.contains(each.text); });
}

/// Naming a service puts its profiles on for what it depends on.
std::set<std::string> with_dependencies_of_theirs(
    const node& services, const std::set<std::string>& active, const std::set<std::string>& named) {
    const key_index by_name(&services);
    std::set<std::string> opened = active;
    for (const std::string& name : named)
        if (const node* service = by_name.find(name); service != nullptr && is_off(*service, active))
            for (const node& each : service->find("profiles")->items)
                opened.insert(each.text);
    std::set<std::string> on = named;
    std::vector<std::string> ahead(named.begin(), named.end());
    while (!ahead.empty()) {
        const node* service = by_name.find(ahead.back());
        ahead.pop_back();
        const node* dependencies = service == nullptr ? nullptr : service->find("depends_on");
        if (dependencies == nullptr)
            continue;
        for (const auto& [name, how] : dependencies->entries)
            if (const node* other = by_name.find(name); other != nullptr && !is_off(*other, opened))
                if (on.insert(name).second)
                    ahead.push_back(name);
    }
    return on;
}

} // namespace

node take_disabled(node& tree, const std::set<std::string>& active, const std::set<std::string>& named) {
    node* services = tree.find("services");
    node disabled;
    disabled.kind = node_kind::map;
    if (services == nullptr)
        return disabled;
    const std::set<std::string> wanted = with_dependencies_of_theirs(*services, active, named);
    const auto off = [&](const auto& entry) {
        return !wanted.contains(entry.first) && is_off(entry.second, active);
    };
    for (auto& entry : services->entries)
        if (off(entry))
            disabled.entries.push_back(entry);
    std::erase_if(services->entries, off);
    const key_index gone(&disabled);
    for (auto& [name, service] : services->entries)
        if (node* dependencies = service.find("depends_on"))
            // A dependency that is off and not required is not there at all.
            std::erase_if(dependencies->entries, [&](const auto& entry) {
                return gone.find(entry.first) != nullptr && entry.second.text_at("required") == "false";
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
