#pragma once

#include "compose/load/node.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace compose {

/// What a value must be. After conform() a scalar is what `config` prints: text (node::quoted) or a JSON
/// literal.
enum class form {
    any,        // as it is
    text,       // a string
    loose_text, // a string, a number, true or false; kept as text
    boolean,
    integer,
    number,
    duration, // kept as Go prints it: "1m30s"
    bytes,    // kept as their number, as text
    object,   // has the keys of `members`, and x-*
    map,      // has keys of the user's, with values of `element`
    list,     // of `element`
};

struct member;

/// One value of the Compose language: what it may be, how its short forms are written out, how one file's
/// lies over another's, how it is printed. The tables are in service_schema.cpp and project_schema.cpp.
struct schema {
    form is = form::any;
    std::span<const member> members = {};
    const schema* element = nullptr;
    const schema* or_scalar = nullptr; // what a single value may be in place of this

    /// Turns a short form of the whole value into the long one, before anything is checked. Throws
    /// error{invalid}.
    void (*write_out)(node& value) = nullptr;
    /// The same of one item of a list, which may become several.
    std::vector<node> (*expand)(const node& item) = nullptr;
    /// What such an item, or a mapping, says and nobody hears, or should say otherwise: each a warning.
    std::vector<std::string> (*remarks)(const node& item) = nullptr;
    /// What tells the items of a list apart: of two that have it in common the later stays, in the place of
    /// the first. Without it all stay.
    std::string (*identity)(const node& item) = nullptr;
    /// What is wrong with a scalar that has the right form; empty when nothing is.
    std::string (*check)(const std::string& text) = nullptr;

    /// Whether a later value is of another sort than an earlier one and takes its place.
    bool (*unlike)(const node& before, const node& after) = nullptr;

    bool replaces = false;      // a later file's takes the place of an earlier one's, whatever it is
    bool null_is_value = false; // null says something; else it is as if it were not there
    bool null_yields = false;   // but not over an earlier value
    bool no_booleans = false;   // of loose_text: a number, but not true or false
    bool no_fractions = false;  // of loose_text: of numbers whole ones alone
    bool no_numbers = false;    // of loose_text: true or false, but not a number
    bool keeps_zero = false;    // printed also when it is false, 0 or empty
    bool as_written = false;    // stays in its short form where variables stay (`config --no-interpolate`)
    bool unprinted = false;     // nowhere but where variables stay
    bool settled = false;       // of a scalar: turned into what it means also there
    bool each_alone = false;    // of a list: items are expanded also beside one that still has a variable
    bool merges_items = false;  // of a list: two items of one identity are laid over one another
    bool tells_twins = false;   // of a list: an item that takes the place of another of one file is a warning
    bool lists = false;         // of what is as_written: laid over one another as lists of NAME=VALUE
    bool lone_replaced = false; // of a list: written as its only item it is replaced, not added to
};

struct member {
    std::string_view name;
    const schema* of = nullptr;
    bool required = false; // in the whole
    bool always = false;   // printed in JSON also when there is none
};

/// Of a whole Compose file.
extern const schema project_schema;

/// The member of an object schema, or null.
const member* find_member(const schema& of, std::string_view name) noexcept;

/// Brings a tree of one file into its long form and tells what does not fit: unknown keys with the nearest
/// known one, wrong types, bad values. `warnings` gets what is taken for something else than it looks like.
/// With `variables_stay` values that still have a variable in them are left as they are, and so are scalars
/// and what is `as_written`: all of it is checked, but not turned into what it means.
void conform(node& value, const schema& to, const std::string& path, std::vector<diagnostic>& wrong,
    std::vector<std::string>& warnings, bool variables_stay = false);

/// What must be there, and say something, in a whole that nothing is laid over any more.
void require_members(
    const node& value, const schema& of, const std::string& path, std::vector<diagnostic>& wrong);

/// Of items with one identity the later, in the place of the first.
void keep_unique(node& list, const schema& of);

} // namespace compose
