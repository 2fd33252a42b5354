#include "engine/shim/attach_hub.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace engine {

namespace {

constexpr std::size_t max_kept = 1U << 20U;
constexpr std::size_t max_input = 64U << 10U;

void close_fd(int& fd) {
    if (fd >= 0)
        ::close(std::exchange(fd, -1));
}

void set_non_blocking(int fd) {
    if (fd >= 0)
        ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// Bytes written; stops where the other end is full. -1: it is broken.
ssize_t write_some(int fd, std::string_view bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t put = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN)
            break;
        if (put < 0)
            return -1;
        done += static_cast<std::size_t>(put);
    }
    return static_cast<ssize_t>(done);
}

} // namespace

attach_hub::~attach_hub() {
    for (client& each : clients_) {
        close_fd(each.input);
        close_fd(each.outlets[0].fd);
        close_fd(each.outlets[1].fd);
    }
    close_sink();
}

void attach_hub::set_sink(int fd, bool owned, bool once) {
    close_sink();
    sink_ = fd;
    sink_owned_ = owned;
    once_ = once;
    set_non_blocking(fd);
}

void attach_hub::close_sink() {
    if (sink_owned_)
        close_fd(sink_);
    sink_ = -1;
    input_.clear();
}

void attach_hub::add(int input, int output, int error, bool hold) {
    client& added = clients_.emplace_back();
    added.hold = hold;
    added.input = input;
    added.outlets[0].fd = output;
    added.outlets[1].fd = error;
    for (const int fd : {input, output, error})
        set_non_blocking(fd);
}

void attach_hub::broadcast(int stream, std::string_view bytes) {
    for (client& each : clients_) {
        outlet& to = each.outlets[stream];
        if (to.fd < 0)
            continue;
        to.kept.append(bytes);
        deliver(to);
        if (to.kept.size() > max_kept && !each.hold) {
            to.kept = {};
            close_fd(to.fd);
        }
    }
}

void attach_hub::deliver(outlet& to) {
    const ssize_t put = write_some(to.fd, to.kept);
    if (put < 0) {
        to.kept = {};
        close_fd(to.fd);
        return;
    }
    to.kept.erase(0, static_cast<std::size_t>(put));
    if (to.kept.empty()) {
        to.kept = {};
        if (finished_)
            close_fd(to.fd);
    }
}

void attach_hub::finish() {
    finished_ = true;
    close_sink();
    for (client& each : clients_) {
        close_fd(each.input);
        for (outlet& to : each.outlets)
            if (to.kept.empty())
                close_fd(to.fd);
    }
}

void attach_hub::read_input(client& from) {
    if (from.input < 0)
        return;
    char bytes[16384];
    const ssize_t got = ::read(from.input, bytes, sizeof bytes);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0) {
        if (sink_ >= 0)
            input_.append(bytes, static_cast<std::size_t>(got));
        write_sink(POLLOUT);
        return;
    }
    close_fd(from.input);
    input_ended_ = true;
    if (once_ && input_.empty())
        close_sink();
}

void attach_hub::write_sink(short) {
    if (sink_ < 0)
        return;
    const ssize_t put = write_some(sink_, input_);
    if (put < 0) {
        close_sink();
        return;
    }
    input_.erase(0, static_cast<std::size_t>(put));
    if (input_.empty() && once_ && input_ended_)
        close_sink();
}

void attach_hub::watch(poller& turn) {
    clients_.remove_if([](const client& each) {
        return each.input < 0 && each.outlets[0].fd < 0 && each.outlets[1].fd < 0;
    });
    for (client& each : clients_) {
        if (input_.size() < max_input)
            turn.watch(each.input, POLLIN, [this, &each](short) { read_input(each); });
        for (outlet& to : each.outlets) {
            const short events = to.kept.empty() ? 0 : POLLOUT;
            turn.watch(to.fd, events, [this, &to](short seen) {
                if (to.fd < 0)
                    return;
                if ((seen & POLLERR) != 0) { // the reader has gone
                    to.kept = {};
                    close_fd(to.fd);
                } else {
                    deliver(to);
                }
            });
        }
    }
    if (!input_.empty())
        turn.watch(sink_, POLLOUT, [this](short events) { write_sink(events); });
}

bool attach_hub::full() const {
    return std::any_of(clients_.begin(), clients_.end(), [](const client& each) {
        return each.hold &&
               (each.outlets[0].kept.size() >= max_kept || each.outlets[1].kept.size() >= max_kept);
    });
}

bool attach_hub::idle() const {
    for (const client& each : clients_)
        if (!each.outlets[0].kept.empty() || !each.outlets[1].kept.empty())
            return false;
    return true;
}

} // namespace engine
