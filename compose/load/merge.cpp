#include "compose/load/merge.hpp"

#include "compose/load/long_form.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>
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

class merger {
  public:
    explicit merger(bool variables_stay) : variables_stay_(variables_stay) {}

    node run(node base, node over, const schema& of) const {
        if (over.tag != merge_tag::none)
            return over; // a reset stays as a mark until drop_resets()
        if (variables_stay_ && of.as_written && !of.replaces && base.tag != merge_tag::reset &&
            (of.lists || base.kind != over.kind)) { // each may be in a short form of its own
            long_form::sequence(base);
            long_form::sequence(over);
        }
        if (over.is_null())
            return of.null_is_value && !(of.null_yields && !base.is_null()) && of.is != form::object ? over
                                                                                                     : base;
        if (base.is_null() || base.tag == merge_tag::reset || of.replaces || (of.lone_replaced && base.lone))
            return over;
        if (of.unlike != nullptr && of.unlike(base, over))
            return over;
        if (base.is_map() && over.is_map())
            maps(base, std::move(over), of);
        else if (base.is_list() && over.is_list())
            lists(base, std::move(over), of);
        else
            return over;
        return base;
    }

  private:
    void maps(node& base, node over, const schema& of) const {
        std::unordered_map<std::string, std::size_t> places;
        for (std::size_t index = 0; index < base.entries.size(); ++index)
            places.emplace(base.entries[index].first, index);
        for (auto& [key, value] : over.entries) {
            const auto place = places.find(key);
            if (place == places.end()) {
                base.entries.emplace_back(key, std::move(value));
                continue;
            }
            node& there = base.entries[place->second].second;
            there = run(std::move(there), std::move(value), inner_schema(of, key));
        }
    }

    void lists(node& base, node over, const schema& of) const {
        // Of hosts, which may have several addresses, only the same address is not said twice.
        const auto identity = of.merges_items                                ? of.identity
                              : of.is == form::map && of.identity == nullptr ? long_form::by_value
                                                                             : nullptr;
        std::unordered_map<std::string, std::size_t> places;
        if (identity != nullptr)
            for (std::size_t index = 0; index < base.items.size(); ++index)
                places.emplace(identity(base.items[index]), index);
        for (node& item : over.items) {
            const auto place = identity == nullptr ? places.end() : places.find(identity(item));
            if (place == places.end()) {
                base.items.push_back(std::move(item));
            } else if (of.merges_items) {
                node& twin = base.items[place->second];
                twin = run(std::move(twin), std::move(item), *of.element);
            }
        }
        keep_unique(base, of);
    }

    bool variables_stay_;
};

} // namespace

node merge(node base, node over, const schema& of, bool variables_stay) {
    return merger(variables_stay).run(std::move(base), std::move(over), of);
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
