#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace compose {

/// Of one secret or config, as Docker's.
constexpr std::size_t most_content = 500U << 10U;

/// Bytes that need not be text; base64 in the wire form.
struct binary {
    std::string bytes;

    bool operator==(const binary&) const = default;
};

/// A secret or config of the top level: where its content is from.
struct content_source {
    std::string name;        // on the engine, of an external one
    bool external = false;   // kept by the engine: `compose secret create`
    std::string file;        // absolute path on the machine of whoever brings the project up
    std::string environment; // variable of whoever brings the project up
    std::map<std::string, std::string> labels;
    std::string driver;          // not supported
    std::string template_driver; // likewise

    /// On its way from who brings the project up to the daemon, and nowhere else: never in the store, nor in
    /// what the API gives.
    std::optional<binary> content;

    bool operator==(const content_source&) const = default;
};

/// How a service sees a secret or config.
struct content_reference {
    std::string source; // key in project::secrets or project::configs
    std::string target; // path in the container; relative: below /run/secrets, of a config below /
    std::string uid;    // number; empty: 0
    std::string gid;
    std::optional<std::uint32_t> mode; // unset: 0444

    /// Keyed digest of the content, by the daemon: says which one is meant, and tells nothing about it.
    std::string digest;

    bool operator==(const content_reference&) const = default;
};

} // namespace compose
