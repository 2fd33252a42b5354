#pragma once

#include "engine/system/fd.hpp"
#include "engine/system/task.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace api {

/// What is sent with a request: a text, or a file that is streamed.
struct request_body {
    std::string content_type;
    std::string text;
    std::filesystem::path file; // instead of text, when not empty
};

/// The reply to one request while it comes in, over a connection of its own.
class client_stream {
  public:
    virtual ~client_stream() = default;

    /// The next line without its end; nothing after the last.
    virtual engine::task<std::optional<std::string>> next_line() = 0;
    /// The next bytes, whatever they are; empty at the end. Instead of next_line().
    virtual engine::task<std::string> next_part() = 0;
    /// What the reply has said of itself after its end; empty when it has not.
    virtual std::string trailer(const std::string& name) const = 0;
    /// Ends the connection; a next_line() that waits gives nothing.
    virtual void close() = 0;
};

/// A connection that has left HTTP.
class client_connection {
  public:
    virtual ~client_connection() = default;
    /// Empty at the end of the stream.
    virtual engine::task<std::string> read() = 0;
    virtual engine::task<> write(std::string bytes) = 0;
    virtual void close() = 0;
};

/// Talks to a composed. Every call throws the daemon's own error where it answered with one, and
/// error{unavailable} with what to do when it cannot be reached.
class client {
  public:
    /// `host`: unix://PATH. Throws error{invalid} for what is no such address.
    client(boost::asio::io_context& io, const std::string& host);

    /// The whole body of the reply.
    engine::task<std::string> call(std::string method, std::string target, request_body body);
    engine::task<std::string> call(std::string method, std::string target);
    engine::task<std::unique_ptr<client_stream>> open(
        std::string method, std::string target, request_body body);
    engine::task<std::unique_ptr<client_stream>> open(std::string method, std::string target);
    engine::task<std::unique_ptr<client_connection>> upgrade(
        std::string target, std::string protocol, request_body body);

  private:
    boost::asio::io_context& io_;
    std::string host_;
    std::string path_;
};

} // namespace api
