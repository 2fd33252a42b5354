#include "engine/shim/daemon_link.hpp"

#include "engine/shim/state_files.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace engine {

namespace {

constexpr int messages_a_turn = 16;

} // namespace

daemon_link::~daemon_link() {
    disconnect();
    if (listener_ >= 0)
        ::close(listener_);
}

bool daemon_link::listen() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, run_file::socket);
    ::unlink(run_file::socket);
    listener_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return listener_ >= 0 && ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
           ::listen(listener_, 4) == 0;
}

void daemon_link::disconnect() {
    if (connection_ >= 0)
        ::close(std::exchange(connection_, -1));
}

bool daemon_link::send(
    message_type type, std::uint32_t session, std::string payload, std::initializer_list<int> descriptors) {
    if (connection_ < 0)
        return false;
    const message out{.type = type, .session = session, .payload = std::move(payload)};
    if (send_message(connection_, out, descriptors.begin(), descriptors.size()))
        return true;
    disconnect();
    return false;
}

void daemon_link::accept() {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    disconnect();
    connection_ = fd;
}

void daemon_link::receive(const receiver& handle) {
    message in;
    std::vector<int> descriptors;
    for (int count = 0; count < messages_a_turn && connection_ >= 0; ++count) {
        switch (receive_message(connection_, in, descriptors)) {
        case receive_result::again:
            return;
        case receive_result::closed:
            disconnect();
            return;
        case receive_result::message:
            handle(in, descriptors);
        }
    }
}

void daemon_link::watch(poller& turn, const receiver& handle) {
    turn.watch(connection_, POLLIN, [this, &handle](short) { receive(handle); });
    turn.watch(listener_, POLLIN, [this](short) { accept(); });
}

} // namespace engine
