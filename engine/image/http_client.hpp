#pragma once

#include "engine/system/task.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

namespace engine {

/// The answer to one GET while its body comes in.
class http_reply {
  public:
    virtual ~http_reply() = default;

    unsigned status = 0;
    std::map<std::string, std::string> headers; // names in lower case
    std::optional<std::uint64_t> length;        // of the body in bytes, where the server says so
    std::string url;                            // after redirects

    /// The value of a header, or nothing.
    std::string header(const std::string& name) const;

    /// The next bytes of the body, as many as fit and are there; 0 at its end only. Throws error{unavailable}
    /// when the connection breaks, or is idle for a minute.
    virtual task<std::size_t> read(std::span<char> into) = 0;
};

struct http_settings {
    std::set<std::string> insecure; // HOST:PORT or HOST whose certificate is not verified
};

/// True for localhost and the loopback addresses.
bool is_loopback(const std::string& host);

/// Gets documents over HTTP/1.1, with or without TLS. Connections are kept for the next request to the same
/// origin and closed with this object. Used on the engine's thread only.
class http_client {
  public:
    using header_map = std::map<std::string, std::string>;

    http_client(boost::asio::io_context& io, http_settings settings);
    ~http_client();

    /// Follows up to five redirects, but never from https to http. "Authorization" goes to the origin of
    /// `url` and to no other (CVE-2020-15157). Throws error{unavailable} when the server cannot be reached or
    /// is not the one that it should be, error{invalid} for a bad URL or answer.
    task<std::unique_ptr<http_reply>> get(std::string url, header_map headers);

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

/// The rest of a reply's body. Throws error{exhausted} above `limit` bytes.
task<std::string> read_text(http_reply& from, std::size_t limit);

} // namespace engine
