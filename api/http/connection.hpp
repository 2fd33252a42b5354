#pragma once

#include "api/http/router.hpp"
#include "api/http/server.hpp"

#include <boost/asio/local/stream_protocol.hpp>

#include <memory>

namespace api {

using stream_socket = boost::asio::local::stream_protocol::socket;

/// Serves the requests of one connection, one after another, until it is closed.
engine::task<> serve_connection(
    std::shared_ptr<stream_socket> socket, const router& routes, server_limits limits);

} // namespace api
