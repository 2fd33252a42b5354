#pragma once

#include "engine/shim/poller.hpp"
#include "engine/shim/protocol.hpp"

#include <functional>
#include <initializer_list>
#include <vector>

namespace engine {

/// The shim's end of the conversation with the daemon: the socket it was born with, then whoever connects to
/// shim.sock. One daemon at a time: a new connection replaces the one before.
class daemon_link {
  public:
    /// Takes `socket` over; -1 for none.
    explicit daemon_link(int socket) : connection_(socket) {}
    daemon_link(const daemon_link&) = delete;
    daemon_link& operator=(const daemon_link&) = delete;
    ~daemon_link();

    /// Listens on shim.sock in the working directory. False with errno set.
    bool listen();

    bool connected() const { return connection_ >= 0; }

    /// Sends, or drops the connection when the daemon does not keep up: it connects again and asks for
    /// everything. False when it was not sent.
    bool send(message_type type, std::uint32_t session, std::string payload,
        std::initializer_list<int> descriptors = {});

    /// `handle` takes the descriptors over. It is called for up to 16 messages a turn.
    using receiver = std::function<void(message&, std::vector<int>&)>;
    void watch(poller& turn, const receiver& handle);

  private:
    void accept();
    void receive(const receiver& handle);
    void disconnect();

    int connection_;
    int listener_ = -1;
};

} // namespace engine
