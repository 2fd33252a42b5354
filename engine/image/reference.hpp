#pragma once

#include "engine/image/digest.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace engine {

/// The name of an image: [REGISTRY/]REPOSITORY[:TAG][@DIGEST].
struct reference {
    std::string registry;   // "docker.io" where the name has none
    std::string repository; // "library/nginx" for docker.io's own
    std::string tag;        // "latest" where there is neither tag nor digest
    std::optional<digest> pinned;

    /// The whole form: equal references have equal names.
    std::string name() const;
    /// As people write it: without docker.io/library/.
    std::string short_name() const;

    bool operator==(const reference&) const = default;
};

/// Throws error{invalid} for what is no such name.
reference parse_reference(std::string_view text);

} // namespace engine
