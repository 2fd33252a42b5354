#pragma once

#include "engine/image/chunk_queue.hpp"
#include "engine/image/http_client.hpp"
#include "engine/image/manifest.hpp"
#include "engine/image/reference.hpp"

#include <functional>
#include <memory>
#include <string>

namespace engine {

struct image_settings;

/// Where images of a registry can be asked for: its mirrors in their order, then itself. https first; where
/// the host is loopback or marked insecure, http after it.
std::vector<std::string> registry_addresses(const std::string& registry, const image_settings& settings);

struct registry_document {
    std::string text;
    std::string content_type;
};

/// One repository of one registry (distribution specification, "pull"). Asks anonymously: where a registry
/// hands out tokens to everybody, it takes one. Used on the engine's thread only; copies are the same
/// registry.
class registry {
  public:
    /// `address`: scheme://HOST[:PORT][/PREFIX].
    registry(boost::asio::io_context& io, std::shared_ptr<http_client> client, std::string address,
        std::string repository);

    /// By tag or digest; what was asked for by digest has that digest. Throws error{not_found},
    /// error{unauthorized}, error{unavailable}, error{invalid}.
    task<registry_document> manifest(std::string tag_or_digest);

    /// A small blob, verified. Throws as manifest().
    task<std::string> blob_text(descriptor what, std::size_t limit);

    /// Writes a blob into the queue and finishes it. A broken transfer goes on where it broke, four times at
    /// most, one second and then twice as long after the one before. The digest is for the reader to check:
    /// it has the bytes. `received` is told how much has come.
    task<> blob(
        descriptor what, std::shared_ptr<chunk_queue> into, std::function<void(std::uint64_t)> received);

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
