#include "compose/load/merge.hpp"

#include <algorithm>
#include <utility>

namespace compose {

namespace {

const schema anything{.is = form::any};

const schema& inner_schema(const schema& of, std::string_view key) {
    if (of.is == form::map)
        return *of.element;
    const member* known = find_member(of, key);
    return known == nullptr ? anything : *known->of;
}

void merge_maps(node& base, node over, const schema& of) {
    for (auto& [key, value] : over.entries) {
        node* there = base.find(key);
        if (there == nullptr)
            base.entries.emplace_back(key, std::move(value));
        else
            *there = merge(std::move(*there), std::move(value), inner_schema(of, key));
    }
}

void merge_lists(node& base, node over, const schema& of) {
    for (node& item : over.items) {
        const auto twin = std::find_if(base.items.begin(), base.items.end(),
            [&](const node& other) { return of.merges_items && of.identity(other) == of.identity(item); });
        if (twin != base.items.end())
            *twin = merge(std::move(*twin), std::move(item), *of.element);
        else
            base.items.push_back(std::move(item));
    }
    keep_unique(base, of);
}

} // namespace

node merge(node base, node over, const schema& of) {
    if (over.tag != merge_tag::none)
        return over; // a reset stays as a mark until drop_resets()
    if (over.is_null())
        return of.null_is_value && of.is != form::object ? over : base;
    if (base.is_null() || base.tag == merge_tag::reset || of.replaces)
        return over;
    if (of.unlike != nullptr && of.unlike(base, over))
        return over;
    if (of.as_written && of.write_out != nullptr) { // each may be in a short form of its own
        of.write_out(base);
        of.write_out(over);
    }
    if (base.is_map() && over.is_map())
        merge_maps(base, std::move(over), of);
    else if (base.is_list() && over.is_list())
        merge_lists(base, std::move(over), of);
    else
        return over;
    return base;
}

void drop_resets(node& tree) {
    std::erase_if(tree.items, [](const node& item) { return item.tag == merge_tag::reset; });
    std::erase_if(tree.entries, [](const auto& entry) { return entry.second.tag == merge_tag::reset; });
    for (node& item : tree.items)
        drop_resets(item);
    for (auto& [key, value] : tree.entries)
        drop_resets(value);
}

} // namespace compose
