// Answers every UDP datagram at the given port with its own bytes: what the tests publish. Static, to run in
// any image.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>

int main(int count, char** arguments) {
    if (count != 2)
        return 2;
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<in_port_t>(std::atoi(arguments[1])));
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof(where)) != 0)
        return 1;
    std::array<char, 2048> message{};
    for (;;) {
        sockaddr_in from{};
        socklen_t size = sizeof(from);
        const ssize_t got =
            ::recvfrom(fd, message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
        if (got >= 0)
            ::sendto(fd, message.data(), static_cast<std::size_t>(got), 0,
                reinterpret_cast<const sockaddr*>(&from), size);
    }
}
