#pragma once

#include "compose/load/diagnostic.hpp"

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace compose {

enum class node_kind { null, scalar, list, map };

/// What `!reset` and `!override` ask of a merge.
enum class merge_tag { none, reset, replace };

/// A YAML value with its place in the file: what is interpolated, merged and then decoded.
struct node {
    // Where the type is whole: `entries` cannot be destroyed before it is.
    node();
    node(const node&);
    node(node&&) noexcept;
    node& operator=(const node&);
    node& operator=(node&&) noexcept;
    ~node();

    node_kind kind = node_kind::null;
    std::string text;    // of a scalar, as written
    bool quoted = false; // a quoted or tagged scalar is text, whatever it looks like
    merge_tag tag = merge_tag::none;
    bool lone = false;       // a list that was written as its only item
    int item = -1;           // of a list in the file, whatever became of that; -1: of none
    std::vector<node> items; // of a list
    std::vector<std::pair<std::string, node>> entries; // of a map, in the order of the file
    position at;
    position key_at; // of the key it stands under, in a map

    bool is_null() const noexcept { return kind == node_kind::null; }
    bool is_scalar() const noexcept { return kind == node_kind::scalar; }
    bool is_list() const noexcept { return kind == node_kind::list; }
    bool is_map() const noexcept { return kind == node_kind::map; }

    /// The value of a key of a map, or null when there is none.
    const node* find(std::string_view key) const noexcept;
    node* find(std::string_view key) noexcept;

    /// The text of a scalar member of a map; empty when there is none.
    std::string text_at(std::string_view key) const;
};

/// The keys of a map that may have many and does not change meanwhile.
class key_index {
  public:
    /// Of no keys when there is no map.
    explicit key_index(const node* map);

    /// The value of a key, or null when there is none.
    const node* find(std::string_view key) const;

  private:
    std::unordered_map<std::string_view, const node*> values_;
};

/// "services.web" and "ports" make "services.web.ports".
std::string child_path(const std::string& path, std::string_view key);

} // namespace compose
