#include "engine/network/dns_server.hpp"

#include "engine/network/dns_message.hpp"
#include "engine/network/dns_replies.hpp"
#include "engine/network/dns_upstream.hpp"
#include "engine/system/blocking.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <random>

namespace engine {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;

namespace {

constexpr auto quiet = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t most_tcp_clients = 32; // of one container
// Questions under way to servers outside: of all containers and of one, so that a flood from one leaves the
// others theirs; and what each has in any case, so that floods from many do.
constexpr std::size_t most_forwarded = 1024; // as moby's resolver
constexpr std::size_t most_of_one = 128;
constexpr std::size_t least_of_one = 8;
constexpr auto tcp_idle_limit = std::chrono::seconds(10);
constexpr std::size_t tcp_message_limit = 65535;
constexpr std::size_t smallest_limit = 512; // any asker takes that (RFC 1035 4.2.1)
constexpr std::size_t largest_query = 4096;
constexpr std::size_t datagrams_a_turn = 16; // of one container, before the others have theirs

/// The sockets of one container. Closing them ends the coroutines that read them.
struct client {
    client(asio::io_context& io, std::string id) : container(std::move(id)), datagrams(io), listener(io) {}

    std::string container;
    udp::socket datagrams;
    tcp::acceptor listener;
    std::size_t connections = 0;
    std::size_t forwarded = 0; // and not answered yet
};
using client_ptr = std::shared_ptr<client>;

} // namespace

struct dns_server::implementation : std::enable_shared_from_this<implementation> {
    implementation(asio::io_context& context, lookup names)
        : io(context), find(std::move(names)), upstream(context), random(std::random_device{}()) {}

    /// What can be said without asking anybody: the reply, empty when the message deserves none. Nothing when
    /// `servers` are to be asked; the container's share of that is taken by forward().
    std::optional<dns_bytes> answer_at_once(
        const client& from, const dns_bytes& message, std::size_t limit, std::vector<std::string>& servers);
    task<dns_bytes> forward(
        client_ptr from, dns_bytes message, std::vector<std::string> servers, bool over_tcp);

    static void serve(const std::shared_ptr<implementation>& self, const client_ptr& from);
    static task<> serve_datagrams(std::shared_ptr<implementation> self, client_ptr from);
    static bool serve_some(const std::shared_ptr<implementation>& self, const client_ptr& from);
    static task<> forward_datagram(std::shared_ptr<implementation> self, client_ptr from, dns_bytes message,
        std::vector<std::string> servers, udp::endpoint asker);
    static task<> accept(std::shared_ptr<implementation> self, client_ptr from);
    static task<> serve_stream(std::shared_ptr<implementation> self, client_ptr from, tcp::socket stream);

    asio::io_context& io;
    lookup find;
    dns_replies replies;
    dns_upstream upstream;
    std::minstd_rand random;
    std::map<std::string, client_ptr> clients;
    std::size_t forwarded = 0; // of all, and not answered yet
    bool started = false;
    bool ending = false; // by stop()
};

dns_server::dns_server(asio::io_context& io, lookup names)
    : implementation_(std::make_shared<implementation>(io, std::move(names))) {}

dns_server::~dns_server() {
    while (!implementation_->clients.empty())
        remove(std::string(implementation_->clients.begin()->first));
}

void dns_server::add(const std::string& container, unique_fd udp_socket, unique_fd tcp_socket) {
    remove(container);
    const auto from = std::make_shared<client>(implementation_->io, container);
    from->datagrams.assign(udp::v4(), udp_socket.release());
    from->listener.assign(tcp::v4(), tcp_socket.release());
    implementation_->clients[container] = from;
    if (implementation_->started)
        implementation::serve(implementation_, from);
}

void dns_server::start() {
    if (std::exchange(implementation_->started, true))
        return;
    for (const auto& [container, from] : implementation_->clients)
        implementation::serve(implementation_, from);
}

task<> dns_server::stop(std::chrono::milliseconds limit) {
    const auto self = implementation_;
    self->ending = true;
    boost::system::error_code ignored;
    for (const auto& [container, from] : self->clients)
        from->listener.cancel(ignored);
    constexpr auto step = std::chrono::milliseconds(5);
    asio::steady_timer timer(self->io);
    for (auto waited = step; self->forwarded > 0 && waited <= limit; waited += step) {
        timer.expires_after(step);
        co_await timer.async_wait(quiet);
    }
}

void dns_server::implementation::serve(const std::shared_ptr<implementation>& self, const client_ptr& from) {
    spawn(self->io, "dns of " + from->container, serve_datagrams(self, from));
    spawn(self->io, "dns of " + from->container, accept(self, from));
}

void dns_server::remove(const std::string& container) {
    const auto found = implementation_->clients.find(container);
    if (found == implementation_->clients.end())
        return;
    boost::system::error_code ignored;
    found->second->datagrams.close(ignored);
    found->second->listener.close(ignored);
    implementation_->clients.erase(found);
}

std::optional<dns_bytes> dns_server::implementation::answer_at_once(
    const client& from, const dns_bytes& message, std::size_t limit, std::vector<std::string>& servers) {
    const std::optional<dns_question> question = replies.question_in(message);
    if (!question)
        return dns_bytes();
    if (limit == 0)
        limit = question->size_limit;
    if (question->refusal != dns_code::no_error)
        return replies.answer(message, question->refusal, {}, limit);
    dns_answer ours = find(from.container, question->type, question->name);
    if (ours.known) {
        dns_records& records = ours.records;
        std::shuffle(records.addresses.begin(), records.addresses.end(), random);
        std::shuffle(records.addresses6.begin(), records.addresses6.end(), random);
        std::shuffle(records.services.begin(), records.services.end(), random);
        return replies.answer(message, dns_code::no_error, records, limit);
    }
    if (ours.absent || !ours.may_forward)
        return replies.answer(message, dns_code::name_error, {}, limit);
    if (from.forwarded >= (forwarded < most_forwarded ? most_of_one : least_of_one))
        return replies.answer(message, dns_code::refused, {}, limit);
    servers = std::move(ours.servers);
    return std::nullopt;
}

task<dns_bytes> dns_server::implementation::forward(
    client_ptr from, dns_bytes message, std::vector<std::string> servers, bool over_tcp) {
    ++from->forwarded;
    ++forwarded;
    const std::shared_ptr<void> leave(nullptr, [this, from](void*) {
        --from->forwarded;
        --forwarded;
    });
    dns_bytes reply = co_await upstream.ask(message, over_tcp, std::move(servers));
    if (reply.empty())
        co_return make_answer(message, dns_code::server_failure, {}, smallest_limit);
    co_return reply;
}

/// Answers what has come, at most so much that others get their turn. False when the socket is closed, or
/// when what comes next is left to the next daemon.
bool dns_server::implementation::serve_some(
    const std::shared_ptr<implementation>& self, const client_ptr& from) {
    boost::system::error_code failed;
    for (std::size_t turn = 0; turn < datagrams_a_turn; ++turn) {
        dns_bytes message(largest_query);
        udp::endpoint asker;
        const int look = self->ending ? udp::socket::message_peek : 0;
        message.resize(from->datagrams.receive_from(asio::buffer(message), asker, look, failed));
        if (failed == asio::error::would_block)
            return true;
        if (failed == asio::error::bad_descriptor)
            return false;
        if (failed)
            continue; // an ICMP error of an earlier answer
        std::vector<std::string> servers;
        const std::optional<dns_bytes> reply = self->answer_at_once(*from, message, 0, servers);
        if (self->ending) {
            if (!reply)
                return false; // it stays where it is
            from->datagrams.receive_from(asio::buffer(message), asker, 0, failed);
        }
        if (!reply)
            spawn(self->io, "dns answer",
                forward_datagram(self, from, std::move(message), std::move(servers), asker));
        else if (!reply->empty())
            from->datagrams.send_to(asio::buffer(*reply), asker, 0, failed); // or is lost, as datagrams are
    }
    return true;
}

task<> dns_server::implementation::serve_datagrams(std::shared_ptr<implementation> self, client_ptr from) {
    boost::system::error_code failed;
    from->datagrams.non_blocking(true, failed);
    while (from->datagrams.is_open()) {
        const auto [ended] = co_await from->datagrams.async_wait(udp::socket::wait_read, quiet);
        if (ended || !serve_some(self, from))
            co_return;
    }
}

task<> dns_server::implementation::forward_datagram(std::shared_ptr<implementation> self, client_ptr from,
    dns_bytes message, std::vector<std::string> servers, udp::endpoint asker) {
    const dns_bytes text = co_await self->forward(from, std::move(message), std::move(servers), false);
    if (!text.empty() && from->datagrams.is_open())
        co_await from->datagrams.async_send_to(asio::buffer(text), asker, quiet);
}

task<> dns_server::implementation::accept(std::shared_ptr<implementation> self, client_ptr from) {
    while (!self->ending && from->listener.is_open()) {
        auto [failed, stream] = co_await from->listener.async_accept(quiet);
        if (failed == asio::error::operation_aborted || failed == asio::error::bad_descriptor)
            co_return;
        if (failed || from->connections >= most_tcp_clients)
            continue;
        spawn(self->io, "dns stream", serve_stream(self, from, std::move(stream)));
    }
}

task<> dns_server::implementation::serve_stream(
    std::shared_ptr<implementation> self, client_ptr from, tcp::socket stream) {
    ++from->connections;
    const std::shared_ptr<void> leave(nullptr, [from](void*) { --from->connections; });
    const auto shared = std::make_shared<tcp::socket>(std::move(stream));
    asio::steady_timer idle(self->io);
    for (;;) {
        idle.expires_after(tcp_idle_limit);
        idle.async_wait([shared](boost::system::error_code cancelled) {
            boost::system::error_code ignored;
            if (!cancelled)
                shared->close(ignored);
        });
        std::array<std::uint8_t, 2> prefix{};
        const auto [no_prefix, got] = co_await asio::async_read(*shared, asio::buffer(prefix), quiet);
        if (no_prefix)
            co_return;
        dns_bytes message(static_cast<std::size_t>(prefix[0] << 8U | prefix[1]));
        const auto [no_message, size] = co_await asio::async_read(*shared, asio::buffer(message), quiet);
        if (no_message)
            co_return;
        std::vector<std::string> servers;
        std::optional<dns_bytes> text = self->answer_at_once(*from, message, tcp_message_limit, servers);
        if (!text)
            text = co_await self->forward(from, std::move(message), std::move(servers), true);
        if (text->empty() || text->size() > tcp_message_limit)
            co_return;
        const dns_bytes framed = with_length(*text);
        const auto [unsent, sent] = co_await asio::async_write(*shared, asio::buffer(framed), quiet);
        if (unsent)
            co_return;
    }
}

} // namespace engine
