#pragma once

#include "engine/image/digest.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace engine {

/// The machine that an image is for, in Go's words as registries use them.
struct image_platform {
    std::string os;
    std::string architecture;
    std::string variant; // "v7" of arm; may be empty

    bool operator==(const image_platform&) const = default;
};

/// "linux/arm/v7". Throws error{invalid} for anything but OS/ARCHITECTURE[/VARIANT].
image_platform parse_platform(std::string_view text);
image_platform host_platform();
std::string to_string(const image_platform& platform);

/// What a document of a registry points at.
struct descriptor {
    digest id;
    std::uint64_t size = 0; // bytes
};

/// One image: its configuration and its layers, lowest first.
struct image_manifest {
    descriptor config;
    std::vector<descriptor> layers;
};

/// The same image for several platforms.
struct image_index {
    struct entry {
        descriptor manifest;
        image_platform platform;
    };
    std::vector<entry> entries;
};

/// What a registry is asked for, as an Accept header.
extern const std::string_view manifest_types;
constexpr std::size_t manifest_limit = 4U << 20U; // bytes, as registries and containerd have it
constexpr std::size_t config_limit = 8U << 20U;   // bytes, as containerd has it

/// Reads an OCI or Docker (schema 2) document; `content_type` is what the registry calls it, may be empty.
/// Throws error{invalid} for another one, for a broken one, and where the document contradicts its content
/// type.
std::variant<image_manifest, image_index> parse_manifest(
    std::string_view text, std::string_view content_type);

/// The best entry for a platform: its own variant, or the newest that it can also run. Throws
/// error{not_found} with what there is.
const image_index::entry& choose(const image_index& from, const image_platform& wanted);

} // namespace engine
