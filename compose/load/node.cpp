#include "compose/load/node.hpp"

#include <fmt/format.h>

namespace compose {

node::node() = default;
node::node(const node&) = default;
node::node(node&&) noexcept = default;
node& node::operator=(const node&) = default;
node& node::operator=(node&&) noexcept = default;
node::~node() = default;

const node* node::find(std::string_view key) const noexcept {
    for (const auto& [name, value] : entries)
        if (name == key)
            return &value;
    return nullptr;
}

node* node::find(std::string_view key) noexcept {
    return const_cast<node*>(static_cast<const node*>(this)->find(key));
}

std::string node::text_at(std::string_view key) const {
    const node* found = find(key);
    return found == nullptr || !found->is_scalar() ? std::string() : found->text;
}

key_index::key_index(const node* map) {
    if (map != nullptr)
        for (const auto& [key, value] : map->entries)
            values_.emplace(key, &value);
}

const node* key_index::find(std::string_view key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : found->second;
}

std::string child_path(const std::string& path, std::string_view key) {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

} // namespace compose
