#include "engine/network/dns_socket_pool.hpp"

#include "engine/system/blocking.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <random>
#include <span>
#include <utility>

namespace engine {

namespace asio = boost::asio;
using asio::ip::udp;
using steady = std::chrono::steady_clock;

namespace {

constexpr auto quiet = asio::as_tuple(asio::use_awaitable);
constexpr auto patience = std::chrono::seconds(3);
constexpr auto longest_use = std::chrono::seconds(2);
constexpr unsigned most_questions = 64;
constexpr std::size_t most_servers = 64; // known at a time: each container may name its own
constexpr std::size_t header = 12;
constexpr std::size_t largest_reply = 4096;
constexpr int true_size = MSG_TRUNC; // a datagram that was cut tells how long it is

std::uint16_t random_number() {
    static std::random_device source;
    return static_cast<std::uint16_t>(source());
}

/// The question as it stands in a message: a name, a type and a class.
std::span<const std::uint8_t> question_in(std::span<const std::uint8_t> message) {
    std::size_t end = header;
    while (end < message.size() && message[end] != 0 && message[end] < 64)
        end += message[end] + 1U;
    end += 5; // the root's length, type and class
    return end <= message.size() ? message.subspan(header, end - header) : std::span<const std::uint8_t>();
}

/// Servers repeat the question, some in other capitals. An error may do without.
bool is_reply_to(std::span<const std::uint8_t> query, std::span<const std::uint8_t> reply) {
    if ((reply[2] & 0x80U) == 0) // a query, or what we have said ourselves
        return false;
    const bool is_error = (reply[3] & 15U) != 0;
    if (is_error && reply[4] == 0 && reply[5] == 0)
        return true;
    const auto asked = question_in(query);
    const auto answered = question_in(reply);
    return std::equal(asked.begin(), asked.end(), answered.begin(), answered.end(),
        [](std::uint8_t a, std::uint8_t b) { return std::tolower(a) == std::tolower(b); });
}

/// The header and the question, marked as truncated: whoever asked does so again over TCP.
dns_bytes without_records(std::span<const std::uint8_t> message) {
    const auto question = question_in(message);
    dns_bytes cut(message.begin(), message.begin() + header);
    cut[2] |= 0x02U;
    std::fill(cut.begin() + (question.empty() ? 4 : 6), cut.end(), std::uint8_t{0});
    cut.insert(cut.end(), question.begin(), question.end());
    return cut;
}

} // namespace

/// Somebody waits for its reply; the timer is cancelled when that is settled.
struct dns_socket_pool::question {
    question(asio::io_context& io, dns_bytes text) : query(std::move(text)), settled(io) {}

    dns_bytes query;
    dns_bytes reply;
    asio::steady_timer settled;
};

/// Lives as long as somebody asks by it or may, and is closed with that.
struct dns_socket_pool::open_socket {
    explicit open_socket(asio::io_context& io) : socket(io), expiry(io) {}

    bool may_ask() const { return asked < most_questions && steady::now() < expiry.expiry(); }

    std::uint16_t unused_id() const {
        std::uint16_t id = random_number();
        while (waiting.contains(id))
            id = random_number();
        return id;
    }

    /// `size`: the whole message's, if that is more than there is of it.
    void deliver(std::span<const std::uint8_t> message, std::size_t size) {
        if (message.size() < header)
            return;
        const auto found = waiting.find(id_of(message));
        if (found == waiting.end() || !found->second->reply.empty() ||
            !is_reply_to(found->second->query, message))
            return;
        found->second->reply =
            size > message.size() ? without_records(message) : dns_bytes(message.begin(), message.end());
        found->second->settled.cancel();
    }

    /// An ICMP error: nobody listens there.
    void fail() {
        for (const auto& [id, each] : waiting)
            each->settled.cancel();
    }

    void leave(std::uint16_t id) {
        waiting.erase(id);
        close_if_done();
    }

    void close_if_done() {
        boost::system::error_code ignored;
        if (!waiting.empty() || may_ask())
            return;
        socket.close(ignored);
        expiry.cancel();
    }

    udp::socket socket;
    asio::steady_timer expiry;
    unsigned asked = 0;
    std::map<std::uint16_t, question*> waiting; // by id
};

task<> dns_socket_pool::receive(socket_ptr from) {
    dns_bytes bytes(largest_reply);
    while (from->socket.is_open()) {
        const auto [failed, size] =
            co_await from->socket.async_receive(asio::buffer(bytes), true_size, quiet);
        if (!failed)
            from->deliver(std::span(bytes).first(std::min(size, bytes.size())), size);
        else if (failed != asio::error::operation_aborted)
            from->fail();
    }
}

dns_socket_pool::socket_ptr dns_socket_pool::take(const asio::ip::address& server) {
    if (!sockets_.contains(server) && sockets_.size() >= most_servers)
        sockets_.clear(); // those in use live on
    std::weak_ptr<open_socket>& slot = sockets_[server][random_number() % sockets_of_server];
    if (socket_ptr there = slot.lock(); there && there->socket.is_open() && there->may_ask())
        return there;
    auto made = std::make_shared<open_socket>(io_);
    const udp::endpoint to(server, port_);
    boost::system::error_code failed;
    made->socket.open(to.protocol(), failed);
    // Connected: the kernel drops what does not come from the server's address and port.
    if (!failed)
        made->socket.connect(to, failed);
    if (!failed)
        made->socket.non_blocking(true, failed);
    if (failed)
        return nullptr;
    made->expiry.expires_after(longest_use);
    made->expiry.async_wait([made](boost::system::error_code) { made->close_if_done(); });
    spawn(io_, "dns replies", receive(made));
    slot = made;
    return made;
}

task<dns_bytes> dns_socket_pool::ask(asio::ip::address server, dns_bytes query) {
    const socket_ptr through = take(server);
    if (!through)
        co_return dns_bytes();
    const std::uint16_t id = through->unused_id();
    set_id(query, id);
    question mine(io_, std::move(query));
    ++through->asked;
    through->waiting.emplace(id, &mine);
    const std::shared_ptr<void> leave(nullptr, [through, id](void*) { through->leave(id); });
    mine.settled.expires_after(patience);
    boost::system::error_code failed;
    through->socket.send(asio::buffer(mine.query), 0, failed);
    if (failed)
        co_return dns_bytes();
    co_await mine.settled.async_wait(quiet);
    co_return std::move(mine.reply);
}

} // namespace engine
