#include "engine/image/http_client.hpp"

#include "compose/model/error.hpp"
#include "engine/image/http_connection.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/url.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace engine {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace urls = boost::urls;
using compose::error;
using compose::error_kind;

namespace {

constexpr unsigned most_redirects = 5;
constexpr std::uint32_t header_limit = 64U << 10U; // bytes: signed addresses of object stores are long

struct target {
    http_origin origin;
    std::string authority; // Host:
    std::string path;      // with its query
};

target target_of(const urls::url_view& url) {
    const bool tls = url.scheme_id() == urls::scheme::https;
    if ((!tls && url.scheme_id() != urls::scheme::http) || url.host_address().empty())
        throw error(error_kind::invalid, fmt::format("\"{}\": must be an http:// or https:// address",
                                             std::string(url.buffer()).substr(0, 200)));
    target made{.origin = {.tls = tls, .host = url.host_address(), .port = std::string(url.port())},
        .authority = std::string(url.encoded_host_and_port()),
        .path = std::string(url.encoded_target())};
    if (made.origin.port.empty())
        made.origin.port = tls ? "443" : "80";
    if (!made.path.starts_with('/'))
        made.path = "/" + made.path;
    return made;
}

std::string lower_case(boost::core::string_view text) {
    std::string lower(text.begin(), text.end());
    std::transform(lower.begin(), lower.end(), lower.begin(),
        [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower;
}

using connection_pool = std::multimap<http_origin, std::unique_ptr<http_connection>>;

class pooled_reply final : public http_reply {
  public:
    pooled_reply(
        std::unique_ptr<http_connection> connection, std::weak_ptr<connection_pool> pool, http_origin origin)
        : connection_(std::move(connection)), pool_(std::move(pool)), origin_(std::move(origin)) {
        parser_.header_limit(header_limit);
        parser_.body_limit(boost::none); // every reader has its own
    }

    task<> begin(http_connection::request& what) {
        co_await connection_->send(what);
        co_await connection_->read_header(parser_);
        const auto& head = parser_.get();
        status = head.result_int();
        for (const auto& field : head)
            headers[lower_case(field.name_string())] = field.value();
        if (!parser_.chunked() && parser_.content_length())
            length = left_ = *parser_.content_length();
        keep_alive_ = parser_.keep_alive();
        if (length == 0)
            release();
    }

    task<std::size_t> read(std::span<char> into) override {
        if (!connection_)
            co_return 0;
        if (length) {
            const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), left_));
            const std::size_t count = co_await connection_->read_raw(into.subspan(0, most));
            if (count == 0)
                throw error(error_kind::unavailable,
                    fmt::format("\"{}\" closed the connection with {} bytes to come", origin_.host, left_));
            left_ -= count;
            if (left_ == 0)
                release();
            co_return count;
        }
        const std::size_t count = co_await connection_->read_body(parser_, into);
        if (count == 0)
            release();
        co_return count;
    }

  private:
    void release() {
        if (const auto pool = pool_.lock(); pool && keep_alive_)
            pool->emplace(origin_, std::move(connection_));
        connection_.reset();
    }

    std::unique_ptr<http_connection> connection_;
    std::weak_ptr<connection_pool> pool_;
    http_origin origin_;
    http_connection::parser parser_;
    std::uint64_t left_ = 0;
    bool keep_alive_ = false;
};

} // namespace

struct http_client::implementation {
    implementation(asio::io_context& context, http_settings wanted)
        : io(context), settings(std::move(wanted)), idle(std::make_shared<connection_pool>()) {}

    bool verifies(const http_origin& to) const {
        return !is_loopback(to.host) && !settings.insecure.contains(to.host) &&
               !settings.insecure.contains(fmt::format("{}:{}", to.host, to.port));
    }

    asio::ssl::context& tls_for(bool verify) {
        std::unique_ptr<asio::ssl::context>& context = verify ? verified : unverified;
        if (context)
            return *context;
        context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
        ::SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
        context->set_verify_mode(verify ? asio::ssl::verify_peer : asio::ssl::verify_none);
        if (verify)
            context->set_default_verify_paths();
        return *context;
    }

    task<std::unique_ptr<http_reply>> request(target to, header_map headers);

    asio::io_context& io;
    http_settings settings;
    std::unique_ptr<asio::ssl::context> verified;
    std::unique_ptr<asio::ssl::context> unverified;
    std::shared_ptr<connection_pool> idle; // last: its connections use the contexts
};

task<std::unique_ptr<http_reply>> http_client::implementation::request(target to, header_map headers) {
    http_connection::request what(http::verb::get, to.path, 11);
    what.set(http::field::host, to.authority);
    what.set(http::field::user_agent, "composed");
    for (const auto& [name, value] : headers)
        what.set(name, value);
    // A kept connection may have been closed by the server meanwhile; that is no failure yet.
    if (const auto kept = idle->find(to.origin); kept != idle->end()) {
        auto reply = std::make_unique<pooled_reply>(std::move(kept->second), idle, to.origin);
        idle->erase(kept);
        bool answered = true;
        try {
            co_await reply->begin(what);
        } catch (const error&) {
            answered = false;
        }
        if (answered)
            co_return reply;
    }
    const bool verify = verifies(to.origin);
    std::unique_ptr<http_connection> fresh;
    if (to.origin.tls)
        fresh = make_https_connection(io, to.origin, tls_for(verify), verify);
    else
        fresh = make_http_connection(io, to.origin);
    co_await fresh->connect();
    auto reply = std::make_unique<pooled_reply>(std::move(fresh), idle, to.origin);
    co_await reply->begin(what);
    co_return reply;
}

http_client::http_client(asio::io_context& io, http_settings settings)
    : implementation_(std::make_shared<implementation>(io, std::move(settings))) {}

http_client::~http_client() = default;

task<std::unique_ptr<http_reply>> http_client::get(std::string address, header_map headers) {
    const auto self = implementation_;
    const auto parsed = urls::parse_uri(address);
    if (!parsed)
        throw error(error_kind::invalid, fmt::format("\"{}\": is no URL", address.substr(0, 200)));
    urls::url url(*parsed);
    for (unsigned redirects = 0;; ++redirects) {
        target to = target_of(url);
        const http_origin origin = to.origin;
        std::unique_ptr<http_reply> reply = co_await self->request(std::move(to), headers);
        reply->url = std::string(url.buffer());
        const unsigned status = reply->status;
        if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
            co_return reply;
        if (redirects == most_redirects)
            throw error(error_kind::invalid, fmt::format("\"{}\" redirects without end", origin.host));
        const std::string where = reply->header("location"); // parsing refers to it
        const auto location = urls::parse_uri_reference(where);
        urls::url next;
        if (!location || !urls::resolve(url, *location, next))
            throw error(
                error_kind::invalid, fmt::format("\"{}\" redirects to what is no address", origin.host));
        const http_origin next_origin = target_of(next).origin;
        if (origin.tls && !next_origin.tls)
            throw error(error_kind::invalid, fmt::format("\"{}\" redirects from https to http", origin.host));
        if (next_origin != origin)
            headers.erase("Authorization");
        url = std::move(next);
    }
}

std::string http_reply::header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
}

bool is_loopback(const std::string& host) {
    if (host == "localhost" || host.ends_with(".localhost"))
        return true;
    boost::system::error_code no_address;
    const auto address = asio::ip::make_address(host, no_address);
    return !no_address && address.is_loopback();
}

task<std::string> read_text(http_reply& from, std::size_t limit) {
    std::string text;
    std::array<char, 16U << 10U> part{};
    for (;;) {
        const std::size_t count = co_await from.read(part);
        if (count == 0)
            co_return text;
        text.append(part.data(), count);
        if (text.size() > limit)
            throw error(
                error_kind::exhausted, fmt::format("\"{}\": is larger than {} bytes", from.url, limit));
    }
}

} // namespace engine
