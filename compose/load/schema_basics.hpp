#pragma once

#include "compose/load/long_form.hpp"
#include "compose/load/schema.hpp"

/// Values that many keys have: what the tables are made of.
namespace compose::schemas {

inline constexpr schema any{.is = form::any, .null_is_value = true};
inline constexpr schema text{.is = form::text};
inline constexpr schema loose_text{.is = form::loose_text};
inline constexpr schema maybe_text{.is = form::loose_text, .null_is_value = true, .keeps_zero = true};
inline constexpr schema value_text{.is = form::loose_text, .keeps_zero = true};
/// Without a value it is empty; where variables stay, it is still without.
inline constexpr schema label_text{.is = form::loose_text, .null_is_value = true, .keeps_zero = true};
inline constexpr schema boolean{.is = form::boolean};
inline constexpr schema toggled{.is = form::boolean, .keeps_zero = true}; // false is printed too
inline constexpr schema integer{.is = form::integer};
inline constexpr schema count{.is = form::integer, .keeps_zero = true};
inline constexpr schema number{.is = form::number};
inline constexpr schema duration{.is = form::duration, .keeps_zero = true};
inline constexpr schema pause{.is = form::duration}; // none is as good as 0s
inline constexpr schema bytes{.is = form::bytes};
inline constexpr schema list_item{.is = form::text, .keeps_zero = true};
inline constexpr schema loose_item{.is = form::loose_text, .keeps_zero = true};

/// A list of strings.
inline constexpr schema texts{.is = form::list, .element = &list_item};
/// The same, each once.
inline constexpr schema set{.is = form::list, .element = &list_item, .identity = long_form::by_value};
inline constexpr schema loose_set{.is = form::list, .element = &loose_item, .identity = long_form::by_value};
/// The same, each once by what stands before its `=`.
inline constexpr schema named_set{.is = form::list, .element = &list_item, .identity = long_form::by_name};
/// One string or a set of them.
inline constexpr schema one_or_set{.is = form::list,
    .element = &list_item,
    .write_out = long_form::one_as_list,
    .identity = long_form::by_name,
    .as_written = true,
    .lists = true};
/// A list also where variables stay.
inline constexpr schema one_or_texts{
    .is = form::list, .element = &list_item, .write_out = long_form::one_as_list};

/// A mapping, or a list of NAME=VALUE.
inline constexpr schema variables{.is = form::map,
    .element = &maybe_text,
    .write_out = long_form::variables,
    .identity = long_form::by_name,
    .as_written = true,
    .lists = true};
inline constexpr schema labels{.is = form::map,
    .element = &label_text,
    .write_out = long_form::labels,
    .identity = long_form::by_name,
    .as_written = true,
    .lists = true};
/// Labels that stay a mapping where they are one.
inline constexpr schema plain_labels{
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
inline constexpr schema hosts{.is = form::map,
    .element = &host_addresses,
    .write_out = long_form::hosts,
    .as_written = true,
    .lists = true};

extern const schema service;

} // namespace compose::schemas
