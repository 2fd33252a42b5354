#pragma once

#include "engine/system/fd.hpp"

#include <string>
#include <vector>

namespace engine {

/// The parts one after the other in a file that has no name, lives in memory and can no longer be changed:
/// for handing over what must never be a file on a disk. Throws error{exhausted} or error{internal}.
unique_fd make_memory_file(const std::vector<std::string>& parts);

/// No core of this process is ever written, and nobody but root looks into it.
void forbid_core_files() noexcept;

} // namespace engine
