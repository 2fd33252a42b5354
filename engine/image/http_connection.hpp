#pragma once

#include "engine/system/task.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>

#include <compare>
#include <memory>
#include <span>
#include <string>

namespace boost::asio::ssl {
class context;
}

namespace engine {

/// Whom a URL is about.
struct http_origin {
    bool tls = false;
    std::string host; // without the brackets of IPv6
    std::string port;

    auto operator<=>(const http_origin&) const = default;
};

/// One connection to an HTTP server, one request after another. Every call throws error{unavailable} naming
/// the server.
class http_connection {
  public:
    using request = boost::beast::http::request<boost::beast::http::empty_body>;
    using parser = boost::beast::http::response_parser<boost::beast::http::buffer_body>;

    virtual ~http_connection() = default;

    virtual task<> connect() = 0;
    virtual task<> send(request& what) = 0;
    virtual task<> read_header(parser& into) = 0;
    /// Decoded bytes of a body whose framing the parser knows; 0 at its end.
    virtual task<std::size_t> read_body(parser& from, std::span<char> into) = 0;
    /// Bytes as they come, past the parser: the body of a known length needs none. 0 when the server has
    /// closed.
    virtual task<std::size_t> read_raw(std::span<char> into) = 0;
};

std::unique_ptr<http_connection> make_http_connection(boost::asio::io_context& io, const http_origin& to);

/// `tls` must outlive the connection; the server's name is checked against its certificate when `verify`.
std::unique_ptr<http_connection> make_https_connection(
    boost::asio::io_context& io, const http_origin& to, boost::asio::ssl::context& tls, bool verify);

} // namespace engine
