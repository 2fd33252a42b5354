#pragma once

#include "api/http/query.hpp"
#include "engine/system/fd.hpp"
#include "engine/system/task.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace api {

/// A connection that has left HTTP: bytes both ways. Reads and writes may be under way at the same time, one
/// of each.
class raw_connection {
  public:
    virtual ~raw_connection() = default;

    /// What has come, at most 64 KiB; empty at the end of the stream.
    virtual engine::task<std::string> read() = 0;
    /// Throws when the other side is gone.
    virtual engine::task<> write(std::string bytes) = 0;
    /// Ends both directions; reads that wait return.
    virtual void close() = 0;
};

/// One request and the reply to it. A handler answers by exactly one of send(), begin_stream() and upgrade().
class exchange {
  public:
    virtual ~exchange() = default;

    std::string method; // "GET"
    std::string path;   // decoded, without the query
    api::query query;
    std::map<std::string, std::string> parameters;     // what stood for {name} in the route
    std::optional<unsigned> peer_user;                 // uid at the other end of a unix socket
    std::map<std::string, std::string> reply_headers;  // what the reply gets besides its content type
    std::map<std::string, std::string> reply_trailers; // what comes after a stream (RFC 9110, 6.5)

    /// A header's value, or empty.
    virtual std::string header(std::string_view name) const = 0;

    /// The whole body. Throws error{exhausted} above `limit` bytes.
    virtual engine::task<std::string> body(std::size_t limit = 4U << 20U) = 0;
    /// The next part of the body; empty at its end.
    virtual engine::task<std::string> body_part() = 0;

    virtual engine::task<> send(int status, std::string content_type, std::string text) = 0;

    /// Begins a reply whose end is not known yet (chunked); write() adds to it, the handler's return ends it.
    /// What it throws from now on is in the trailer Composed-Error, as the JSON of an error.
    virtual engine::task<> begin_stream(std::string content_type) = 0;
    /// Throws when the client is gone: the handler just lets it pass.
    virtual engine::task<> write(std::string text) = 0;

    /// `act` is called once when the client goes away while a stream is under way (never after the handler
    /// returned): a handler that waits for something else is woken by it.
    virtual void on_close(std::function<void()> act) = 0;
    virtual bool closed() const noexcept = 0;

    /// Answers 101 for `protocol` and hands the connection over.
    virtual engine::task<raw_connection*> upgrade(std::string protocol) = 0;
};

} // namespace api
