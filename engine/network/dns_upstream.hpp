#pragma once

#include "engine/network/dns_message.hpp"
#include "engine/network/dns_socket_pool.hpp"
#include "engine/system/task.hpp"

#include <boost/asio/ip/address.hpp>

#include <chrono>
#include <filesystem>
#include <map>
#include <random>
#include <string_view>
#include <vector>

namespace engine {

/// Addresses of the `nameserver` lines, at most three, as resolv.conf(5) has it.
std::vector<boost::asio::ip::address> parse_name_servers(std::string_view resolv_conf);

/// The host's own name servers, asked from the host's network namespace.
class dns_upstream {
  public:
    explicit dns_upstream(
        boost::asio::io_context& io, std::filesystem::path resolv_conf = "/etc/resolv.conf");

    /// The reply of the first server that has one, its id that of `query`; empty when none answered in time.
    /// A server that says SERVFAIL or REFUSED is passed over for the next. `own`: addresses to ask in place
    /// of the host's servers.
    ///
    /// The servers are asked in their order, but one that has left two questions in a row without a reply
    /// after the others, until it has one: C libraries give up after five seconds, and of three servers two
    /// that are dead would take six. One question every ten seconds finds out whether it is back.
    task<dns_bytes> ask(dns_bytes query, bool over_tcp, std::vector<std::string> own);

  private:
    /// A server that does not reply, and when to try it again.
    struct silence {
        unsigned questions = 0;
        std::chrono::steady_clock::time_point until;
    };

    std::vector<boost::asio::ip::address> in_order(std::vector<boost::asio::ip::address> servers);
    void note(
        const boost::asio::ip::address& server, bool replied, std::chrono::steady_clock::duration after);
    task<dns_bytes> ask_one(boost::asio::ip::address server, dns_bytes query, bool over_tcp);
    const std::vector<boost::asio::ip::address>& servers();

    boost::asio::io_context& io_;
    std::filesystem::path resolv_conf_;
    std::filesystem::file_time_type read_at_{};
    std::vector<boost::asio::ip::address> servers_;
    std::mt19937 random_{std::random_device{}()};
    dns_socket_pool sockets_;
    std::map<boost::asio::ip::address, silence> silent_;
};

} // namespace engine
