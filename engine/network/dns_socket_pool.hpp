#pragma once

#include "engine/network/dns_message.hpp"
#include "engine/system/task.hpp"

#include <boost/asio/ip/address.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

namespace engine {

/// The UDP sockets by which name servers are asked: a few to each server, each shared by some questions.
///
/// A socket of its own for each question costs more than the question. What a forger has to guess stays
/// unpredictable (RFC 5452, 9.2): a question takes one of its server's sockets at random and an id at random,
/// a reply must come from the server (the sockets are connected) and repeat the question, and a socket's port
/// is given up after two seconds or 64 questions, so that a container that asks seldom has a new one each
/// time.
class dns_socket_pool {
  public:
    /// `port`: of the servers.
    explicit dns_socket_pool(boost::asio::io_context& io, std::uint16_t port = 53) : io_(io), port_(port) {}

    /// The server's reply, with an id that is not the query's; empty when none came within three seconds or
    /// nobody listens there. One of more than 4,096 bytes
    /// comes without its records, as truncated. Requires: `query` is a whole message with one question.
    task<dns_bytes> ask(boost::asio::ip::address server, dns_bytes query);

  private:
    struct question;
    struct open_socket;
    using socket_ptr = std::shared_ptr<open_socket>;
    static constexpr std::size_t sockets_of_server = 8;

    socket_ptr take(const boost::asio::ip::address& server);
    static task<> receive(socket_ptr from);

    boost::asio::io_context& io_;
    std::uint16_t port_;
    std::map<boost::asio::ip::address, std::array<std::weak_ptr<open_socket>, sockets_of_server>> sockets_;
};

} // namespace engine
