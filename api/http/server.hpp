#pragma once

#include "api/http/router.hpp"
#include "compose/model/error.hpp"
#include "engine/system/fd.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

namespace api {

/// What one client may cost.
struct server_limits {
    std::size_t connections = 1024;
    std::size_t header_bytes = 16U << 10U;
    long idle_seconds = 60; // of a connection without a request under way
};

/// The HTTP status of an error's kind: the one place where it is decided.
int status_of(compose::error_kind kind) noexcept;

/// HTTP/1.1 over unix sockets, keep-alive. Owns the sockets' files: made with `mode` under a temporary umask,
/// removed when it ends.
class server {
  public:
    server(boost::asio::io_context& io, const router& routes, server_limits limits = {});
    ~server();

    /// Throws error{conflict} when another process answers there. A file that a dead daemon left is replaced.
    void listen(const std::filesystem::path& socket, unsigned mode, const std::string& group);

    /// On a socket that somebody else has made and keeps: its file stays.
    void listen(engine::unique_fd socket);

    /// No new connections; those that are open are closed.
    void stop();

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace api
