#include "compose/load/places.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <unordered_map>

namespace compose {

namespace {

struct found_place {
    const node* at = nullptr;
    std::string written; // the path, as the file has it
};

class places {
  public:
    explicit places(const node& tree) : tree_(tree) {}

    found_place find(std::string_view path) {
        found_place found{.at = &tree_};
        std::string_view rest = path;
        while (!rest.empty() && found.at->is_map()) {
            const std::string_view key = take_key(found.at, rest);
            if (key.empty())
                break;
            found.written = found.at->item < 0 ? child_path(found.written, key)
                                               : fmt::format("{}[{}]", found.written, found.at->item);
            if (rest.starts_with('['))
                take_index(found, rest);
            if (rest.starts_with('.'))
                rest.remove_prefix(1);
        }
        if (!rest.empty())
            found.written = child_path(found.written, rest);
        return found;
    }

  private:
    /// The longest key that `rest` begins with, which may have dots in it, is taken off; `at` becomes its
    /// value. Empty when there is none.
    std::string_view take_key(const node*& at, std::string_view& rest) {
        const key_index& keys = keys_.try_emplace(at, at).first->second;
        for (std::size_t end = rest.size(); end != std::string_view::npos && end > 0;
             end = rest.find_last_of(".[", end - 1))
            if (const node* value = keys.find(rest.substr(0, end)); value != nullptr) {
                const std::string_view key = rest.substr(0, end);
                rest.remove_prefix(end);
                at = value;
                return key;
            }
        return {};
    }

    static void take_index(found_place& found, std::string_view& rest) {
        const std::size_t index = std::strtoul(rest.data() + 1, nullptr, 10);
        const std::size_t size = std::min(rest.size(), rest.find(']') + 1);
        if (found.at->is_list() && index < found.at->items.size()) {
            found.at = &found.at->items[index];
            if (found.at->item >= 0) // else the file has one value in place of a list
                found.written += fmt::format("[{}]", found.at->item);
        } else {
            found.written += rest.substr(0, size);
        }
        rest.remove_prefix(size);
    }

    const node& tree_;
    std::unordered_map<const node*, key_index> keys_;
};

bool is_same(const position& one, const position& other) {
    return one.line == other.line && one.column == other.column && one.file != nullptr &&
           other.file != nullptr && *one.file == *other.file;
}

} // namespace

place_lookup places_in(const node& tree) {
    return [at = places(tree)](const std::string& path) mutable { return at.find(path).at->at; };
}

void name_as_written(const node& tree, std::vector<diagnostic>& told) {
    places all(tree);
    for (diagnostic& each : told) {
        found_place found = all.find(each.path);
        if (is_same(found.at->at, each.at)) // else what is told is no more in the tree
            each.path = std::move(found.written);
    }
}

} // namespace compose
