#include "engine/network/name_index.hpp"

#include "engine/network/attachment.hpp"

#include <algorithm>
#include <set>

namespace engine {

namespace {

/// The same aliases are there on each of its networks.
std::set<std::string_view> aliases_of(const attachment& of) {
    std::set<std::string_view> all;
    for (const endpoint& each : of.endpoints)
        all.insert(each.aliases.begin(), each.aliases.end());
    return all;
}

std::set<ip_address> addresses_of(const attachment& of) {
    std::set<ip_address> all;
    for (const endpoint& each : of.endpoints) {
        if (each.ipv4)
            all.insert(*each.ipv4);
        if (each.ipv6)
            all.insert(*each.ipv6);
    }
    return all;
}

template <typename Map, typename Key>
void erase_one(Map& from, const Key& key, const attachment* of) {
    const auto [begin, end] = from.equal_range(key);
    const auto found = std::find_if(begin, end, [of](const auto& each) { return each.second == of; });
    if (found != end)
        from.erase(found);
}

template <typename Map, typename Key>
void append(std::vector<const attachment*>& into, const Map& from, const Key& key) {
    const auto [begin, end] = from.equal_range(key);
    for (auto each = begin; each != end; ++each)
        into.push_back(each->second);
}

} // namespace

void name_index::add(const attachment& of) {
    for (const std::string_view alias : aliases_of(of))
        by_alias_.emplace(alias, &of);
    for (const ip_address& address : addresses_of(of))
        by_address_.emplace(address, &of);
}

void name_index::remove(const attachment& of) {
    for (const std::string_view alias : aliases_of(of))
        erase_one(by_alias_, alias, &of);
    for (const ip_address& address : addresses_of(of))
        erase_one(by_address_, address, &of);
}

std::vector<const attachment*> name_index::called(std::string_view name) const {
    std::vector<const attachment*> all;
    append(all, by_alias_, name);
    for (auto dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1))
        append(all, by_alias_, name.substr(0, dot));
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

std::vector<const attachment*> name_index::at(const ip_address& address) const {
    std::vector<const attachment*> all;
    append(all, by_address_, address);
    return all;
}

} // namespace engine
