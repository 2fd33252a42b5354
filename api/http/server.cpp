#include "api/http/server.hpp"

#include "api/http/connection.hpp"
#include "engine/system/blocking.hpp"
#include "engine/system/unix_socket.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <spdlog/spdlog.h>

#include <list>
#include <set>
#include <vector>

namespace api {

namespace asio = boost::asio;
using protocol = asio::local::stream_protocol;

struct server::implementation : std::enable_shared_from_this<implementation> {
    implementation(asio::io_context& context, const router& from, server_limits most)
        : io(context), routes(from), limits(most) {}

    static engine::task<> accept(std::shared_ptr<implementation> self, protocol::acceptor& acceptor);
    static engine::task<> serve(std::shared_ptr<implementation> self, std::shared_ptr<stream_socket> socket);

    asio::io_context& io;
    const router& routes;
    server_limits limits;
    std::list<protocol::acceptor> acceptors;
    std::vector<std::filesystem::path> files;
    std::set<std::shared_ptr<stream_socket>> open;
};

engine::task<> server::implementation::accept(
    std::shared_ptr<implementation> self, protocol::acceptor& acceptor) {
    while (acceptor.is_open()) {
        auto [failed, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
        if (failed == asio::error::operation_aborted || failed == asio::error::bad_descriptor)
            co_return;
        if (failed) {
            // Out of descriptors: the ones in use will be given back; until then it would fail at once again.
            spdlog::warn("accept a connection: {}", failed.message());
            asio::steady_timer pause(self->io, std::chrono::milliseconds(100));
            co_await pause.async_wait(asio::use_awaitable);
            continue;
        }
        if (self->open.size() >= self->limits.connections)
            continue;
        engine::spawn(
            self->io, "connection", serve(self, std::make_shared<stream_socket>(std::move(socket))));
    }
}

engine::task<> server::implementation::serve(
    std::shared_ptr<implementation> self, std::shared_ptr<stream_socket> socket) {
    self->open.insert(socket);
    const std::shared_ptr<void> leave(nullptr, [self, socket](void*) { self->open.erase(socket); });
    try {
        co_await serve_connection(socket, self->routes, self->limits);
    } catch (const boost::system::system_error&) {
        // The client is gone in the middle of a reply: its own business.
    }
}

server::server(asio::io_context& io, const router& routes, server_limits limits)
    : implementation_(std::make_shared<implementation>(io, routes, limits)) {}

server::~server() {
    stop();
}

void server::listen(const std::filesystem::path& socket, unsigned mode, const std::string& group) {
    engine::unique_fd listening = engine::listen_unix(socket, mode, group);
    implementation_->files.push_back(socket);
    listen(std::move(listening));
}

void server::listen(engine::unique_fd socket) {
    protocol::acceptor& acceptor = implementation_->acceptors.emplace_back(implementation_->io);
    acceptor.assign(protocol(), socket.release());
    engine::spawn(implementation_->io, "server", implementation::accept(implementation_, acceptor));
}

void server::stop() {
    boost::system::error_code ignored;
    for (protocol::acceptor& acceptor : implementation_->acceptors)
        acceptor.close(ignored);
    for (const std::filesystem::path& file : implementation_->files)
        std::filesystem::remove(file, ignored);
    implementation_->files.clear();
    const auto open = implementation_->open;
    for (const auto& socket : open)
        socket->close(ignored);
}

} // namespace api
