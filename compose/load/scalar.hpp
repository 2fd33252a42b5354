#pragma once

#include "compose/load/node.hpp"

#include <string>
#include <string_view>

namespace compose {

enum class scalar_kind { text, boolean, integer, number };

/// What a scalar is by YAML's core schema as Docker Compose (Go) reads it: yes and no are text, 017 and 0o17
/// are octal, 1_000 is a thousand, and what is quoted is text.
scalar_kind kind_of(const node& scalar) noexcept;

/// A boolean or number as JSON has it: "True" is true, 0x1F is 31, 1.50 is 1.5. What is too big for 64 bits
/// loses digits, as it does in Go.
std::string json_literal(const node& scalar);

/// A tree of scalars as they come from a file, each made what it is by its own looks: what x-* keys hold.
void settle_scalars(node& tree);

node text_node(const node& place, std::string text);
/// A literal of JSON: "true", "12".
node literal_node(const node& place, std::string text);
node map_node(const node& place);
node list_node(const node& place);
/// Adds a member to a map.
void add_member(node& map, std::string key, node value);

} // namespace compose
