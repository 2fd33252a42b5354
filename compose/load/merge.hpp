#pragma once

#include "compose/load/node.hpp"

#include <string>

namespace compose {

/// Lays one file over another by Compose's rules: mappings deeply, lists appended, scalars replaced;
/// commands, entry points and health tests as a whole; short forms of mappings and lists are written out
/// first where the two differ.
/// `!override` replaces, `!reset` takes away, null changes nothing.
node merge(node base, node over, const std::string& path = {});

/// Takes the `!reset` marks (and what they stand on) out of a tree that nothing is merged over any more.
void drop_resets(node& tree);

} // namespace compose
