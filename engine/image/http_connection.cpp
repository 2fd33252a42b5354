#include "engine/image/http_connection.hpp"

#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace engine {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using compose::error;
using compose::error_kind;
using namespace std::chrono_literals;

namespace {

constexpr auto connect_limit = 15s;
constexpr auto idle_limit = 60s;

template <typename Stream>
class stream_connection : public http_connection {
  public:
    template <typename... Arguments>
    stream_connection(asio::io_context& io, http_origin to, Arguments&&... arguments)
        : resolver_(io), to_(std::move(to)), stream_(io, std::forward<Arguments>(arguments)...) {}

    task<> connect() override {
        boost::system::error_code failure;
        const auto found = co_await resolver_.async_resolve(
            to_.host, to_.port, asio::redirect_error(asio::use_awaitable, failure));
        check(failure);
        transport().expires_after(connect_limit);
        co_await transport().async_connect(found, asio::redirect_error(asio::use_awaitable, failure));
        check(failure);
        transport().socket().set_option(asio::ip::tcp::no_delay(true));
    }

    task<> send(request& what) override {
        boost::system::error_code failure;
        transport().expires_after(idle_limit);
        co_await http::async_write(stream_, what, asio::redirect_error(asio::use_awaitable, failure));
        check(failure);
    }

    task<> read_header(parser& into) override {
        boost::system::error_code failure;
        transport().expires_after(idle_limit);
        co_await http::async_read_header(
            stream_, buffer_, into, asio::redirect_error(asio::use_awaitable, failure));
        check(failure);
    }

    task<std::size_t> read_body(parser& from, std::span<char> into) override {
        auto& body = from.get().body();
        body.data = into.data();
        body.size = into.size();
        while (!from.is_done() && body.size == into.size()) {
            boost::system::error_code failure;
            transport().expires_after(idle_limit);
            co_await http::async_read_some(
                stream_, buffer_, from, asio::redirect_error(asio::use_awaitable, failure));
            if (failure != http::error::need_buffer)
                check(failure);
        }
        co_return into.size() - body.size;
    }

    task<std::size_t> read_raw(std::span<char> into) override {
        if (buffer_.size() > 0) {
            const std::size_t count = std::min(into.size(), buffer_.size());
            std::memcpy(into.data(), buffer_.data().data(), count);
            buffer_.consume(count);
            co_return count;
        }
        boost::system::error_code failure;
        transport().expires_after(idle_limit);
        const std::size_t count = co_await stream_.async_read_some(
            asio::buffer(into.data(), into.size()), asio::redirect_error(asio::use_awaitable, failure));
        if (failure == asio::error::eof)
            co_return 0;
        check(failure);
        co_return count;
    }

  protected:
    beast::tcp_stream& transport() { return beast::get_lowest_layer(stream_); }
    Stream& stream() { return stream_; }
    const http_origin& to() const { return to_; }

    void check(const boost::system::error_code& failure) const {
        if (!failure)
            return;
        const bool untrusted =
            failure.category() == asio::error::get_ssl_category() &&
            ERR_GET_REASON(static_cast<unsigned long>(failure.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED;
        if (untrusted)
            throw error(error_kind::unavailable,
                fmt::format(
                    "the certificate of \"{0}:{1}\" is not one that this host trusts for that name; "
                    "install its authority's certificate, or list \"{0}:{1}\" under registries.insecure in "
                    "composed.yaml",
                    to_.host, to_.port));
        throw error(error_kind::unavailable,
            fmt::format("\"{}:{}\" cannot be reached: {}", to_.host, to_.port, failure.message()));
    }

  private:
    asio::ip::tcp::resolver resolver_;
    http_origin to_;
    Stream stream_;
    beast::flat_buffer buffer_;
};

class https_connection final : public stream_connection<beast::ssl_stream<beast::tcp_stream>> {
  public:
    https_connection(asio::io_context& io, http_origin to, asio::ssl::context& tls, bool verify)
        : stream_connection(io, std::move(to), tls), verify_(verify) {}

    task<> connect() override {
        co_await stream_connection::connect();
        // RFC 6066: a literal address is no server name.
        boost::system::error_code no_address;
        asio::ip::make_address(to().host, no_address);
        if (no_address && ::SSL_set_tlsext_host_name(stream().native_handle(), to().host.c_str()) != 1)
            throw error(error_kind::internal, fmt::format("begin TLS with \"{}\": out of memory", to().host));
        if (verify_)
            stream().set_verify_callback(asio::ssl::host_name_verification(to().host));
        boost::system::error_code failure;
        transport().expires_after(connect_limit);
        co_await stream().async_handshake(
            asio::ssl::stream_base::client, asio::redirect_error(asio::use_awaitable, failure));
        check(failure);
    }

  private:
    bool verify_;
};

} // namespace

std::unique_ptr<http_connection> make_http_connection(asio::io_context& io, const http_origin& to) {
    return std::make_unique<stream_connection<beast::tcp_stream>>(io, to);
}

std::unique_ptr<http_connection> make_https_connection(
    asio::io_context& io, const http_origin& to, asio::ssl::context& tls, bool verify) {
    return std::make_unique<https_connection>(io, to, tls, verify);
}

} // namespace engine
