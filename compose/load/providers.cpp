#include "compose/load/providers.hpp"

#include "compose/load/node.hpp"
#include "compose/load/tree_values.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace compose {

namespace {

const node* provider_of(const loaded& read, const std::string& service) {
    const node* services = read.tree ? read.tree->find("services") : nullptr;
    const node* found = services == nullptr ? nullptr : services->find(service);
    const node* own = found == nullptr ? nullptr : found->find("provider");
    return own == nullptr || own->is_null() ? nullptr : own;
}

void visit(const project& of, const std::string& name, bool dependencies, std::set<std::string>& seen,
    std::vector<std::string>& order) {
    const auto found = of.services.find(name);
    if (found == of.services.end() || !seen.insert(name).second)
        return;
    if (dependencies)
        for (const auto& [other, how] : found->second.depends_on)
            visit(of, other, dependencies, seen, order);
    order.push_back(name);
}

provider make_provider(const project& of, const std::string& name, const node& from) {
    provider made{.service = name, .type = from.text_at("type"), .options = {}, .dependents = {}};
    if (const node* options = from.find("options"))
        for (const auto& [key, values] : options->entries)
            made.options.emplace_back(key, texts_of(values));
    for (const auto& [other, service] : of.services)
        if (service.depends_on.contains(name))
            made.dependents.insert(other);
    return made;
}

} // namespace

std::vector<provider> take_providers(
    loaded& read, const std::vector<std::string>& services, bool dependencies) {
    project& of = read.project;
    std::vector<std::string> order;
    std::set<std::string> seen;
    if (services.empty())
        for (const auto& [name, service] : of.services)
            visit(of, name, true, seen, order);
    for (const std::string& name : services)
        visit(of, name, dependencies, seen, order);
    std::vector<provider> made;
    for (const std::string& name : order)
        if (const node* from = provider_of(read, name))
            made.push_back(make_provider(of, name, *from));
    std::erase_if(of.services, [&](const auto& entry) { return provider_of(read, entry.first) != nullptr; });
    for (auto& [name, service] : of.services)
        std::erase_if(
            service.depends_on, [&](const auto& entry) { return provider_of(read, entry.first) != nullptr; });
    return made;
}

void refuse_providers(const loaded& read) {
    for (const auto& [name, service] : read.project.services)
        if (const node* own = provider_of(read, name))
            throw load_error({{.at = own->key_at,
                .path = fmt::format("services.{}.provider", name),
                .message = "its program is run by `compose up`, and by nobody here"}});
}

} // namespace compose
