#pragma once

#include "engine/image/byte_source.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace engine {

/// What a layer may cost (a few megabytes of zeros unpack to petabytes otherwise).
struct unpack_limits {
    std::uint64_t entries = 5'000'000;
    std::uint64_t bytes = 64ULL << 30U;
    std::uint64_t least_free = 1ULL << 30U; // bytes to leave on the disk; of a small one, a twentieth
};

struct unpacked_layer {
    std::uint64_t bytes = 0;                   // of regular files
    std::vector<std::string> implicit_folders; // attributes are those of the layer below: see image_store
};

/// Unpacks a layer's tar (already decompressed) into an empty folder as overlayfs wants it, without its
/// parents: whiteouts become 0:0 devices, opaque markers the overlay's attribute. Names that lead outside,
/// devices that would be whiteouts and overlay attributes in the archive are refused or left out. Throws
/// error{invalid} for a broken archive, error{exhausted} above the limits. Blocks.
unpacked_layer unpack_layer(
    byte_source& tar, const std::filesystem::path& folder, const unpack_limits& limits = {});

} // namespace engine
