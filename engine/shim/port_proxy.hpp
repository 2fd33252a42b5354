#pragma once

#include "engine/shim/poller.hpp"
#include "engine/shim/protocol.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <vector>

namespace engine {

/// Carries what reaches published IPv6 ports where the kernel cannot translate it: to a container that has
/// IPv4 only, and from ::1, which no route leads away from. Everything else goes by nftables and never comes
/// here.
///
/// Connections are made from the host's network namespace, so the container sees its gateway as the client,
/// as it does for 127.0.0.1; from its own it would take a stranger for itself. What one side does not read is
/// not read from the other.
class port_proxy {
  public:
    port_proxy() = default;
    port_proxy(const port_proxy&) = delete;
    port_proxy& operator=(const port_proxy&) = delete;
    ~port_proxy();

    /// Takes a bound socket over. Nothing is read from it before start().
    void add(int socket, const forward_target& to);

    /// `host`: a descriptor of the host's network namespace, open for as long as this object lives.
    void start(int host);

    /// Whether new clients are taken. Those that there are go on in either case.
    void accept_clients(bool accepting) { accepting_ = accepting; }

    /// The bound sockets, which stay its own.
    std::vector<int> sockets() const;

    /// Closes all.
    void stop();

    void watch(poller& turn);

    /// Drops the UDP flows that have been still for long. Gives when that is to be called again: monotonic
    /// ns, 0 when there is none.
    std::int64_t expire(std::int64_t now);

  private:
    struct port {
        int socket = -1;
        forward_target to;
        std::size_t flows = 0;
    };
    /// One way of a TCP connection.
    struct direction {
        std::string kept;
        bool ended = false;  // the reader's end was seen
        bool closed = false; // and passed on
    };
    struct connection {
        int ends[2] = {-1, -1}; // the client's and the container's
        bool connecting = true;
        direction ways[2]; // from the client, from the container
    };
    /// The datagrams of one client.
    struct flow {
        int socket = -1; // connected to the container
        port* of = nullptr;
        sockaddr_in6 client{};
        in6_pktinfo at{}; // where the client sent to: what the answers come from
        std::int64_t last = 0;
    };

    int connect_to(const forward_target& to) const;
    void accept(port& from);
    void watch(poller& turn, connection& each);
    void read(connection& of, int way);
    void write(connection& of, int way);
    void drop(connection& of);
    void receive(port& from);
    void answer(flow& of);
    flow* flow_of(port& from, const sockaddr_in6& client, const in6_pktinfo& at);

    std::list<port> ports_; // others hold their addresses
    std::list<connection> connections_;
    std::list<flow> flows_;
    int host_ = -1;
    int own_ = -1;
    bool started_ = false;
    bool accepting_ = true;
};

} // namespace engine
