#include "scripted_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <sstream>
#include <stdexcept>

namespace engine {

scripted_server::scripted_server(script answers) : answers_(std::move(answers)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(at);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(listener_, 16) != 0)
        throw std::runtime_error("no port for the scripted server");
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { serve(); });
}

scripted_server::~scripted_server() {
    ends_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
}

std::string scripted_server::address() const {
    return fmt::format("127.0.0.1:{}", port_);
}

std::vector<seen_request> scripted_server::requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
}

void scripted_server::serve() {
    while (!ends_) {
        const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection < 0)
            continue;
        answer(connection);
        ::close(connection);
    }
}

void scripted_server::answer(int connection) {
    std::string text;
    char part[4096];
    while (text.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = ::recv(connection, part, sizeof(part), 0);
        // 0x16 begins a TLS handshake: this server has none.
        if (got <= 0 || (text.empty() && part[0] == '\x16'))
            return;
        text.append(part, static_cast<std::size_t>(got));
    }
    seen_request request;
    std::istringstream lines(text);
    std::string line;
    lines >> line >> request.target;
    std::getline(lines, line);
    while (std::getline(lines, line) && line != "\r") {
        std::string name = line.substr(0, line.find(':'));
        std::transform(name.begin(), name.end(), name.begin(),
            [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        request.headers[name] =
            line.substr(std::min(line.size(), name.size() + 2), line.size() - name.size() - 3);
    }
    {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
    }
    const std::string reply = answers_(request);
    for (std::size_t sent = 0; sent < reply.size();) {
        const ssize_t put = ::send(connection, reply.data() + sent, reply.size() - sent, MSG_NOSIGNAL);
        if (put <= 0)
            return;
        sent += static_cast<std::size_t>(put);
    }
    // So that the client gets all of it before the close.
    ::shutdown(connection, SHUT_WR);
    pollfd waiting{.fd = connection, .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, 1000);
}

std::string answer(int status, const std::string& body, const std::string& more_headers) {
    return fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{}", status,
        body.size(), more_headers, body);
}

} // namespace engine
