#pragma once

#include "engine/shim/protocol.hpp"
#include "engine/system/blocking.hpp"
#include "engine/system/fd.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace engine {

/// The daemon's end of the conversation with one shim.
class shim_link {
  public:
    struct packet {
        message content;
        std::vector<unique_fd> descriptors;
    };

    shim_link(boost::asio::io_context& io, unique_fd socket);
    ~shim_link();
    shim_link(const shim_link&) = delete;
    shim_link& operator=(const shim_link&) = delete;

    /// The next message; nothing when the shim has gone or close() was called. One receiver at a time.
    task<std::optional<packet>> receive();

    /// False when the shim has gone or does not keep up.
    bool send(message_type type, std::uint32_t session = 0, std::string payload = {},
        const std::vector<int>& descriptors = {});

    void close();

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

/// Connects to RUN/container/ID/shim.sock, whatever the length of its path. Throws error naming the path.
/// Does not block.
unique_fd connect_to_shim(const std::filesystem::path& folder);

/// A connected pair: the daemon's end (non-blocking) and the shim's.
std::pair<unique_fd, unique_fd> shim_socket_pair();

/// Whether a shim lives that works in this folder: it holds the lock for life.
bool shim_lives(const std::filesystem::path& folder);

} // namespace engine
