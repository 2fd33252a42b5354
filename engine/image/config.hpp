#pragma once

#include "compose/model/service.hpp"
#include "engine/image/digest.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// What an image says about the containers made from it.
struct image_config {
    std::vector<std::string> entrypoint;
    std::vector<std::string> cmd;
    std::vector<std::string> env; // NAME=VALUE
    std::string user;
    std::string working_dir;
    std::string stop_signal;
    std::vector<std::string> volumes;       // paths
    std::vector<std::string> exposed_ports; // "80/tcp"
    std::map<std::string, std::string> labels;
    std::optional<compose::healthcheck> healthcheck;

    bool operator==(const image_config&) const = default;
};

/// An image's configuration document: OCI's, or Docker's, which has the same form with more keys.
struct image_document {
    image_config config;
    std::vector<digest> diff_ids; // of the unpacked layers, lowest first
    std::string created;
    std::string platform; // linux/amd64
};

constexpr std::size_t most_layers = 495; // of the 500 of overlayfs (OVL_MAX_STACK): some are ours

/// Throws error{invalid} for what is none, and for an image of another operating system than Linux. An image
/// of more than most_layers is none that may come; one that an earlier version has let in is read like
/// others.
image_document parse_image_document(std::string_view text);

} // namespace engine
