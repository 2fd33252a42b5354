#include "engine/container/container_runtime.hpp"

#include "engine/container/runtime_state.hpp"
#include "engine/shim/protocol.hpp"

#include <poll.h>

#include <memory>
#include <utility>

namespace engine {

namespace {

constexpr int patience = 5000; // ms, of a shim that is busy

/// All that comes before the other end is closed. Blocks.
std::vector<unique_fd> receive_sockets(int from) {
    std::vector<unique_fd> all;
    for (;;) {
        pollfd ready{.fd = from, .events = POLLIN, .revents = 0};
        if (::poll(&ready, 1, patience) <= 0)
            return all;
        message content;
        std::vector<int> descriptors;
        if (receive_message(from, content, descriptors) == receive_result::closed)
            return all;
        for (const int fd : descriptors)
            all.emplace_back(fd);
    }
}

} // namespace

task<std::vector<unique_fd>> container_runtime::lend_ports(std::string id) {
    const auto self = implementation_;
    const auto found = self->runs.find(id);
    std::vector<unique_fd> lent;
    if (found == self->runs.end() || found->second->exited || found->second->gone)
        co_return lent;
    auto [ours, theirs] = shim_socket_pair();
    if (!found->second->send(message_type::lend, 0, {}, {theirs.get()}))
        co_return lent;
    theirs.reset(); // one that does not know the message closes it too
    auto receive = [socket = std::make_shared<unique_fd>(std::move(ours))] {
        return receive_sockets(socket->get());
    };
    lent = co_await blocking(self->pools.workers, receive);
    co_return lent;
}

void container_runtime::accept_clients(const std::string& id, bool accepting) {
    if (const auto found = implementation_->runs.find(id); found != implementation_->runs.end())
        found->second->send(message_type::accept, 0, field_writer().number(accepting ? 1 : 0).take());
}

} // namespace engine
