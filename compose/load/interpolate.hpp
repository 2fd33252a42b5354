#pragma once

#include "compose/load/node.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace compose {

/// The value of a variable, or nothing when it is not set.
using variable_lookup = std::function<std::optional<std::string>(const std::string& name)>;

/// Looks up in `variables`, which must outlive it.
variable_lookup lookup_in(const std::map<std::string, std::string>& variables);

/// Puts variables into a text: $NAME, ${NAME} and its operators :- - :? ? :+ +, nested, only as far as
/// needed; $$ is a dollar. Names that are not set and have no default are added to `unset`. Throws
/// error{invalid} for a broken expression and for a required variable without a value.
std::string interpolate(
    std::string_view text, const variable_lookup& lookup, std::vector<std::string>& unset);

/// A warning for each name that is not set, once.
void warn_of_unset(const std::vector<std::string>& names, std::vector<std::string>& warnings);

/// A variable as an expression names it.
struct used_variable {
    std::string name;
    bool required = false;
    std::string default_value; // after :- or -
    std::string alternative;   // after :+ or +
};

/// The variables that the values of a tree name, in defaults too, each once and sorted by name.
std::vector<used_variable> variables_in(const node& tree);

/// All values of a tree, never its keys. Adds to `wrong` what does not work, to `unset` as above.
void interpolate_tree(node& tree, const std::string& path, const variable_lookup& lookup,
    std::vector<std::string>& unset, std::vector<diagnostic>& wrong);

} // namespace compose
