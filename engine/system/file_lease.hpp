#pragma once

#include <filesystem>

namespace engine {

/// Whether some program has it open for writing at this moment, so that it may be half of what it will be.
/// False where that cannot be told: the file system has no leases, or there is no such file.
bool is_being_written(const std::filesystem::path& file);

} // namespace engine
