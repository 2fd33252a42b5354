#pragma once

#include "engine/image/http_client.hpp"
#include "engine/image/image_store.hpp"
#include "engine/image/layer_store.hpp"
#include "engine/image/manifest.hpp"
#include "engine/image/reference.hpp"

#include <memory>
#include <string>
#include <vector>

namespace engine {

/// An image whose layers are on disk, but which has no record yet.
struct fetched_image {
    std::string config; // the document's text
    std::vector<digest> layers;
    std::shared_ptr<layer_store::pin> hold; // keeps the layers until there is a record
};

/// Fetches an image from the first address of its registry that has it: index, manifest, configuration, then
/// all layers at once, each straight from the socket to files. Coroutine of the engine's thread; `layers` and
/// `io` outlive it. Throws as image_store::pull().
task<fetched_image> fetch_image(boost::asio::io_context& io, std::shared_ptr<layer_store> layers,
    reference what, image_platform platform, image_settings settings, pull_progress_callback progress);

/// The same image by the digest that its registry has for it now. Throws as image_store::pull().
task<reference> resolve_image(boost::asio::io_context& io, reference what, image_settings settings);

} // namespace engine
