#pragma once

#include "compose/load/long_form.hpp"
#include "compose/load/schema.hpp"

/// Values that many keys have: what the tables are made of.
namespace compose::schemas {

inline constexpr schema any{.is = form::any, .null_is_value = true};
inline constexpr schema text{.is = form::text};
inline constexpr schema loose_text{.is = form::loose_text};
inline constexpr schema maybe_text{.is = form::loose_text, .null_is_value = true, .keeps_zero = true};
inline constexpr schema label_text{.is = form::loose_text, .keeps_zero = true};
inline constexpr schema boolean{.is = form::boolean};
inline constexpr schema toggled{.is = form::boolean, .keeps_zero = true}; // false is printed too
inline constexpr schema integer{.is = form::integer};
inline constexpr schema count{.is = form::integer, .keeps_zero = true};
inline constexpr schema number{.is = form::number};
inline constexpr schema duration{.is = form::duration, .keeps_zero = true};
inline constexpr schema bytes{.is = form::bytes};
inline constexpr schema list_item{.is = form::text, .keeps_zero = true};
inline constexpr schema loose_item{.is = form::loose_text, .keeps_zero = true};

/// A list of strings.
inline constexpr schema texts{.is = form::list, .element = &list_item};
/// The same, each once.
inline constexpr schema set{.is = form::list, .element = &list_item, .identity = long_form::by_value};
inline constexpr schema loose_set{.is = form::list, .element = &loose_item, .identity = long_form::by_value};
/// One string or a set of them.
inline constexpr schema one_or_set{.is = form::list,
    .element = &list_item,
    .write_out = long_form::one_as_list,
    .identity = long_form::by_value,
    .as_written = true};
inline constexpr schema one_or_texts{
    .is = form::list, .element = &list_item, .write_out = long_form::one_as_list, .as_written = true};

/// A mapping, or a list of NAME=VALUE.
inline constexpr schema variables{
    .is = form::map, .element = &maybe_text, .write_out = long_form::variables, .as_written = true};
inline constexpr schema labels{
    .is = form::map, .element = &label_text, .write_out = long_form::labels, .as_written = true};
/// A mapping to strings and numbers.
inline constexpr schema option_text{.is = form::loose_text, .no_booleans = true, .keeps_zero = true};
inline constexpr schema options{.is = form::map, .element = &option_text};

inline constexpr schema words{.is = form::list,
    .element = &list_item,
    .write_out = long_form::words,
    .replaces = true,
    .null_is_value = true,
    .keeps_zero = true,
    .as_written = true};

inline constexpr schema host_addresses = set;
inline constexpr schema hosts{
    .is = form::map, .element = &host_addresses, .write_out = long_form::hosts, .as_written = true};

extern const schema service;

} // namespace compose::schemas
