#include "engine/shim/log_forwarder.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

namespace engine {

namespace {

// As in engine/container/launch.hpp.
enum : std::int64_t {
    no_target = 0,
    journald = 1,
    syslog_plain = 2,
    rfc3164 = 3,
    rfc5424 = 4,
    rfc5424_micro = 5
};
enum : std::int64_t { over_datagram = 0, over_unix = 1, over_udp = 2, over_tcp = 3 };

constexpr int severity_error = 3;
constexpr int severity_info = 6;
constexpr std::size_t most_kept = 256U << 10U;
constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t patience = 2 * second;
constexpr std::int64_t pause_between_tries = second;
constexpr std::size_t longest_name = 48; // of an application, RFC 5424

std::int64_t monotonic_now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * second + time.tv_nsec;
}

std::string journal_entry(const shim_log_target& target, int severity, std::string_view text, bool more) {
    std::string entry = target.fields;
    entry += "PRIORITY=" + std::to_string(severity) + "\n";
    if (more)
        entry += "CONTAINER_PARTIAL_MESSAGE=true\n";
    // With its length: there may be anything in it.
    const auto size = static_cast<std::uint64_t>(text.size());
    entry += "MESSAGE\n";
    for (unsigned byte = 0; byte < sizeof size; ++byte)
        entry += static_cast<char>(size >> (8 * byte) & 0xFFU);
    return entry.append(text) += '\n';
}

/// "Jan  2 15:04:05", in the host's own time.
std::string short_time(std::int64_t now) {
    const auto seconds = static_cast<std::time_t>(now / second);
    std::tm parts{};
    ::localtime_r(&seconds, &parts);
    char text[32];
    text[std::strftime(text, sizeof text - 1, "%b %e %H:%M:%S", &parts)] = '\0';
    return text;
}

std::string long_time(std::int64_t now, bool micro) {
    const auto seconds = static_cast<std::time_t>(now / second);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[64];
    std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (micro)
        length += static_cast<std::size_t>(std::snprintf(
            text + length, sizeof text - length, ".%06d", static_cast<int>(now % second / 1000)));
    return std::string(text, length) + "Z";
}

sockaddr_storage network_address(const shim_log_target& target, socklen_t& size) {
    sockaddr_storage bytes{};
    auto* four = reinterpret_cast<sockaddr_in*>(&bytes);
    auto* six = reinterpret_cast<sockaddr_in6*>(&bytes);
    if (::inet_pton(AF_INET, target.place.c_str(), &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(static_cast<std::uint16_t>(target.port));
        size = sizeof *four;
    } else if (::inet_pton(AF_INET6, target.place.c_str(), &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(static_cast<std::uint16_t>(target.port));
        size = sizeof *six;
    }
    return bytes;
}

} // namespace

std::string forwarded_message(const shim_log_target& target, bool error, std::string_view text, bool more,
    std::int64_t now, std::int64_t pid) {
    const int severity = error ? severity_error : severity_info;
    if (target.kind == journald)
        return journal_entry(target, severity, text, more);
    const std::string priority = "<" + std::to_string(target.facility * 8 + severity) + ">";
    std::string message;
    if (target.kind == rfc5424 || target.kind == rfc5424_micro) {
        const std::string name = target.tag.substr(0, longest_name);
        message = priority + "1 " + long_time(now, target.kind == rfc5424_micro) + " " + target.host_name +
                  " " + name + " " + std::to_string(pid) + " " + name + " - ";
    } else {
        message = priority + short_time(now) + " " +
                  (target.kind == rfc3164 ? target.host_name + " " : std::string()) + target.tag + "[" +
                  std::to_string(pid) + "]: ";
    }
    message += text;
    return message;
}

log_forwarder::~log_forwarder() {
    disconnect();
    if (own_ >= 0)
        ::close(own_);
}

void log_forwarder::open(const shim_log_target& target, int host) {
    target_ = target;
    host_ = host;
    if (host_ >= 0)
        own_ = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

void log_forwarder::add(bool error, std::string_view text, std::int64_t now) {
    if (target_.kind == no_target)
        return;
    const bool more = !text.ends_with('\n');
    while (text.ends_with('\n') || text.ends_with('\r'))
        text.remove_suffix(1);
    if (text.empty())
        return; // neither has a use for it
    enqueue(forwarded_message(target_, error, text, more, now, ::getpid()));
}

void log_forwarder::enqueue(std::string message) {
    if (kept_ >= most_kept) {
        send();
        if (kept_ >= most_kept) {
            ++missing_;
            return;
        }
    }
    kept_ += message.size();
    queue_.push_back(std::move(message));
    if (queue_.size() == 1)
        send();
}

bool log_forwarder::full() const {
    return kept_ >= most_kept && (stalled_ == 0 || monotonic_now() - stalled_ < patience);
}

std::int64_t log_forwarder::deadline() const {
    if (queue_.empty())
        return 0;
    if (socket_ < 0)
        return next_try_;
    const std::int64_t over = stalled_ + patience;
    return full() && stalled_ != 0 ? over : 0;
}

void log_forwarder::watch(poller& turn) {
    if (queue_.empty())
        return;
    if (socket_ < 0)
        send();
    if (!queue_.empty())
        turn.watch(socket_, POLLOUT, [this](short) { send(); });
}

void log_forwarder::send() {
    while (!queue_.empty() && send_front()) {
        stalled_ = 0;
        kept_ -= queue_.front().size();
        queue_.pop_front();
        sent_ = 0;
        if (queue_.empty() && missing_ > 0) {
            timespec time{};
            ::clock_gettime(CLOCK_REALTIME, &time);
            const std::string note = "composed: " + std::to_string(std::exchange(missing_, 0)) +
                                     " lines were lost on their way: the receiver took none";
            queue_.push_back(forwarded_message(
                target_, true, note, false, time.tv_sec * second + time.tv_nsec, ::getpid()));
            kept_ = queue_.front().size();
        }
    }
    if (!queue_.empty() && stalled_ == 0)
        stalled_ = monotonic_now();
}

/// True when it went whole, or never will.
bool log_forwarder::send_front() {
    if (socket_ < 0 && !connect())
        return false;
    std::string& message = queue_.front();
    if (is_stream() && !message.ends_with('\n')) {
        message += '\n';
        ++kept_;
    }
    for (;;) {
        const ssize_t put =
            ::send(socket_, message.data() + sent_, message.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put >= 0) {
            sent_ += static_cast<std::size_t>(put);
            if (!is_stream() || sent_ == message.size())
                return true;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
            return false;
        if (errno == EMSGSIZE) {
            ++missing_;
            return true;
        }
        disconnect();
        return false;
    }
}

bool log_forwarder::connect() {
    const std::int64_t now = monotonic_now();
    if (now < next_try_)
        return false;
    next_try_ = now + pause_between_tries;
    if (target_.transport == over_datagram || target_.transport == over_unix) {
        sockaddr_un path{};
        path.sun_family = AF_UNIX;
        std::strncpy(path.sun_path, target_.place.c_str(), sizeof path.sun_path - 1);
        stream_ = target_.transport == over_unix;
        for (int attempt = 0; attempt < 2; ++attempt) {
            socket_ =
                ::socket(AF_UNIX, (stream_ ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            if (socket_ >= 0 &&
                ::connect(socket_, reinterpret_cast<const sockaddr*>(&path), sizeof path) == 0)
                return true;
            const int why = errno;
            disconnect();
            if (why != EPROTOTYPE || target_.transport != over_unix)
                return false;
            stream_ = !stream_;
        }
        return false;
    }
    stream_ = target_.transport == over_tcp;
    socklen_t size = 0;
    const sockaddr_storage address = network_address(target_, size);
    const bool elsewhere = host_ >= 0 && own_ >= 0;
    if (size == 0 || (elsewhere && ::setns(host_, CLONE_NEWNET) != 0))
        return false;
    socket_ =
        ::socket(address.ss_family, (stream_ ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (elsewhere)
        ::setns(own_, CLONE_NEWNET);
    if (socket_ >= 0 && ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), size) != 0 &&
        errno != EINPROGRESS)
        disconnect();
    return socket_ >= 0;
}

void log_forwarder::disconnect() {
    if (socket_ >= 0)
        ::close(std::exchange(socket_, -1));
    sent_ = 0;
}

} // namespace engine
