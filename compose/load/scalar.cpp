#include "compose/load/scalar.hpp"

#include "compose/model/units.hpp"

#include <fmt/format.h>

#include <cstdlib>

namespace compose {

namespace {

node made(const node& place, node_kind kind) {
    node result;
    result.kind = kind;
    result.at = place.at;
    result.key_at = place.key_at;
    result.tag = place.tag;
    return result;
}

} // namespace

scalar_kind kind_of(const node& scalar) noexcept {
    if (scalar.quoted)
        return scalar_kind::text;
    const std::string& text = scalar.text;
    if (text == "true" || text == "True" || text == "TRUE" || text == "false" || text == "False" ||
        text == "FALSE")
        return scalar_kind::boolean;
    switch (number_form_of(text)) {
    case number_form::whole:
        return scalar_kind::integer;
    case number_form::fraction:
        return scalar_kind::number;
    case number_form::none:
        break;
    }
    return scalar_kind::text;
}

std::string json_literal(const node& scalar) {
    if (kind_of(scalar) == scalar_kind::boolean)
        return lower_case(scalar.text);
    std::string plain = scalar.text;
    std::erase(plain, '_');
    if (const auto whole = parse_integer(plain))
        return std::to_string(*whole);
    if (plain.starts_with('+'))
        plain.erase(0, 1);
    if (number_form_of(plain) == number_form::whole)
        return plain; // above 2^63
    const double value = std::strtod(plain.c_str(), nullptr);
    return value == 0 ? "0" : fmt::format("{}", value);
}

void settle_scalars(node& tree) {
    if (tree.is_scalar()) {
        if (kind_of(tree) == scalar_kind::text)
            tree.quoted = true;
        else
            tree.text = json_literal(tree);
    }
    for (node& item : tree.items)
        settle_scalars(item);
    for (auto& [key, value] : tree.entries)
        settle_scalars(value);
}

node text_node(const node& place, std::string text) {
    node result = made(place, node_kind::scalar);
    result.text = std::move(text);
    result.quoted = true;
    return result;
}

node literal_node(const node& place, std::string text) {
    node result = made(place, node_kind::scalar);
    result.text = std::move(text);
    return result;
}

node map_node(const node& place) {
    return made(place, node_kind::map);
}

node list_node(const node& place) {
    return made(place, node_kind::list);
}

void add_member(node& map, std::string key, node value) {
    map.entries.emplace_back(std::move(key), std::move(value));
}

} // namespace compose
