#pragma once

#include "compose/load/schema.hpp"

namespace compose {

/// Lays one file over another, both in their long form: mappings deeply, lists appended and made unique,
/// scalars and commands replaced. `!override` replaces, `!reset` takes away, null changes nothing where it
/// says nothing. With `variables_stay` what is `as_written` may be in its short form.
node merge(node base, node over, const schema& of, bool variables_stay = false);

/// Takes the `!reset` marks (and what they stand on) out of a tree that nothing is merged over any more.
void drop_resets(node& tree);

} // namespace compose
