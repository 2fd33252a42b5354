#pragma once

#include "engine/shim/poller.hpp"
#include "engine/shim/protocol.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace engine {

/// The message of one line to syslog or the journal; pure. `text` without its end, `more`: the rest of the
/// line comes with the next one. `pid` stands in the header of syslog's.
std::string forwarded_message(const shim_log_target& target, bool error, std::string_view text, bool more,
    std::int64_t now, std::int64_t pid);

/// Sends each line to the journal or to a syslog daemon, beside the file.
///
/// Nobody waits for long: what the receiver does not take is kept up to 256 KiB, and the container is slowed
/// (full()) for two seconds at most. A receiver that has taken nothing for that time gets what it can take
/// when it is back, with a line that tells how many are missing. Sockets of the network are the host's.
class log_forwarder {
  public:
    log_forwarder() = default;
    log_forwarder(const log_forwarder&) = delete;
    log_forwarder& operator=(const log_forwarder&) = delete;
    ~log_forwarder();

    /// `host`: the host's network namespace; -1 when we are in it.
    void open(const shim_log_target& target, int host);

    void add(bool error, std::string_view text, std::int64_t now);

    /// The container is to be read no further for now.
    bool full() const;

    /// Nothing waits to be sent.
    bool idle() const { return queue_.empty(); }

    void watch(poller& turn);

    /// When to look again though nothing happens (monotonic ns); 0: never.
    std::int64_t deadline() const;

  private:
    void enqueue(std::string message);
    void send();
    bool send_front();
    bool connect();
    void disconnect();
    bool is_stream() const { return stream_; }

    shim_log_target target_;
    int host_ = -1;
    int own_ = -1; // our network namespace
    int socket_ = -1;
    bool stream_ = false;
    std::deque<std::string> queue_;
    std::size_t kept_ = 0;      // bytes of it
    std::size_t sent_ = 0;      // of its first, into a stream
    std::int64_t stalled_ = 0;  // since when nothing is taken; monotonic ns
    std::int64_t next_try_ = 0; // to connect; monotonic ns
    std::uint64_t missing_ = 0; // lines
};

} // namespace engine
