#include "engine/network/dns_upstream.hpp"

#include "engine/system/file.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <sstream>

namespace engine {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto quiet = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t most_servers = 3; // resolv.conf(5), MAXNS
constexpr auto patience = std::chrono::seconds(3);
constexpr unsigned most_unanswered = 2; // one may get lost
constexpr auto passed_over_for = std::chrono::seconds(10);
constexpr std::size_t most_silent = 64; // known at a time: each container may name its own
constexpr std::uint16_t domain_port = 53;

bool is_refusal(const dns_bytes& reply) {
    const auto code = static_cast<dns_code>(reply[3] & 15U);
    return code == dns_code::server_failure || code == dns_code::refused;
}

task<dns_bytes> exchange_stream(asio::io_context& io, asio::ip::address server, dns_bytes query) {
    const auto socket = std::make_shared<tcp::socket>(io);
    asio::steady_timer timer(io);
    timer.expires_after(patience);
    timer.async_wait([socket](boost::system::error_code cancelled) {
        boost::system::error_code ignored;
        if (!cancelled)
            socket->close(ignored); // which ends what waits on it
    });
    const tcp::endpoint to(server, domain_port);
    const auto [unreachable] = co_await socket->async_connect(to, quiet);
    if (unreachable)
        co_return dns_bytes();
    const dns_bytes framed = with_length(query);
    const auto [unsent, sent] = co_await asio::async_write(*socket, asio::buffer(framed), quiet);
    if (unsent)
        co_return dns_bytes();
    std::array<std::uint8_t, 2> prefix{};
    const auto [no_prefix, got] = co_await asio::async_read(*socket, asio::buffer(prefix), quiet);
    if (no_prefix)
        co_return dns_bytes();
    dns_bytes reply(static_cast<std::size_t>(prefix[0] << 8U | prefix[1]));
    const auto [cut, size] = co_await asio::async_read(*socket, asio::buffer(reply), quiet);
    if (cut || reply.size() < 12 || id_of(reply) != id_of(query))
        co_return dns_bytes();
    co_return reply;
}

} // namespace

std::vector<asio::ip::address> parse_name_servers(std::string_view resolv_conf) {
    std::vector<asio::ip::address> servers;
    std::istringstream lines{std::string(resolv_conf)};
    std::string line;
    while (std::getline(lines, line) && servers.size() < most_servers) {
        std::istringstream words(line);
        std::string key, value;
        words >> key >> value;
        boost::system::error_code bad;
        const auto address = asio::ip::make_address(value, bad);
        if (key == "nameserver" && !bad)
            servers.push_back(address);
    }
    return servers;
}

namespace {

std::vector<asio::ip::address> addresses_of(const std::vector<std::string>& texts) {
    std::vector<asio::ip::address> addresses;
    for (const std::string& each : texts) {
        boost::system::error_code bad;
        const auto address = asio::ip::make_address(each, bad);
        if (!bad && addresses.size() < most_servers)
            addresses.push_back(address);
    }
    return addresses;
}

} // namespace

dns_upstream::dns_upstream(asio::io_context& io, std::filesystem::path resolv_conf)
    : io_(io), resolv_conf_(std::move(resolv_conf)), sockets_(io) {}

const std::vector<asio::ip::address>& dns_upstream::servers() {
    std::error_code none;
    const auto changed = std::filesystem::last_write_time(resolv_conf_, none);
    if (none)
        servers_.clear();
    else if (changed != read_at_) {
        servers_ = parse_name_servers(read_file_if_there(resolv_conf_, 1U << 20U).value_or(""));
        read_at_ = changed;
    }
    return servers_;
}

std::vector<asio::ip::address> dns_upstream::in_order(std::vector<asio::ip::address> servers) {
    const auto now = std::chrono::steady_clock::now();
    std::stable_partition(servers.begin(), servers.end(), [&](const asio::ip::address& server) {
        const auto found = silent_.find(server);
        if (found == silent_.end() || found->second.questions < most_unanswered)
            return true;
        if (now < found->second.until)
            return false;
        found->second.until = now + passed_over_for;
        return true;
    });
    return servers;
}

void dns_upstream::note(
    const asio::ip::address& server, bool replied, std::chrono::steady_clock::duration after) {
    if (replied) {
        silent_.erase(server);
        return;
    }
    if (after < patience) // nobody listens there: that is known at once, and costs nothing
        return;
    if (!silent_.contains(server) && silent_.size() >= most_silent)
        silent_.clear();
    silence& found = silent_[server];
    if (++found.questions == most_unanswered)
        found.until = std::chrono::steady_clock::now() + passed_over_for;
}

task<dns_bytes> dns_upstream::ask_one(asio::ip::address server, dns_bytes query, bool over_tcp) {
    const std::uint16_t asked_as = id_of(query);
    const auto began = std::chrono::steady_clock::now();
    dns_bytes reply;
    if (over_tcp) {
        // An id of our own, unpredictable: the asker's may be guessed by a neighbour who wants to forge the
        // reply.
        set_id(query, static_cast<std::uint16_t>(random_()));
        reply = co_await exchange_stream(io_, server, std::move(query));
    } else {
        reply = co_await sockets_.ask(server, std::move(query));
    }
    note(server, !reply.empty(), std::chrono::steady_clock::now() - began);
    set_id(reply, asked_as);
    co_return reply;
}

task<dns_bytes> dns_upstream::ask(dns_bytes query, bool over_tcp, std::vector<std::string> own) {
    const auto asked = in_order(own.empty() ? servers() : addresses_of(own));
    dns_bytes last;
    for (const auto& server : asked) {
        dns_bytes reply = co_await ask_one(server, query, over_tcp);
        if (reply.empty())
            continue;
        if (!is_refusal(reply))
            co_return reply;
        last = std::move(reply);
    }
    co_return last;
}

} // namespace engine
