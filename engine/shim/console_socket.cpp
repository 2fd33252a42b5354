#include "engine/shim/console_socket.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace engine {

namespace {

int receive_descriptor(int connection) {
    char name[4096]; // runc sends the path of the slave along
    iovec part{.iov_base = name, .iov_len = sizeof name};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    if (::recvmsg(connection, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
        return -1;
    const cmsghdr* rights = CMSG_FIRSTHDR(&header);
    if (rights == nullptr || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS ||
        rights->cmsg_len != CMSG_LEN(sizeof(int))) {
        errno = EPROTO;
        return -1;
    }
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    return fd;
}

} // namespace

console_socket::console_socket(console_socket&& other) noexcept
    : name_(std::exchange(other.name_, {})), fd_(std::exchange(other.fd_, -1)) {}

console_socket& console_socket::operator=(console_socket&& other) noexcept {
    if (this != &other) {
        close();
        name_ = std::exchange(other.name_, {});
        fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
}

console_socket::~console_socket() {
    close();
}

void console_socket::close() {
    if (fd_ < 0)
        return;
    ::close(std::exchange(fd_, -1));
    ::unlink(name_.c_str());
}

bool console_socket::listen(std::string name) {
    close();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (name.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
    ::unlink(name.c_str());
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    name_ = std::move(name);
    return fd_ >= 0 && ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
           ::listen(fd_, 1) == 0;
}

int console_socket::receive(unsigned short rows, unsigned short columns) {
    const int connection = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0)
        return -1;
    const int terminal = receive_descriptor(connection);
    ::close(connection);
    unsigned number = 0;
    if (terminal >= 0 && ::ioctl(terminal, TIOCGPTN, &number) != 0) {
        ::close(terminal);
        errno = ENOTTY;
        return -1;
    }
    if (terminal >= 0) {
        ::fcntl(terminal, F_SETFL, ::fcntl(terminal, F_GETFL) | O_NONBLOCK);
        if (rows > 0)
            set_terminal_size(terminal, rows, columns);
    }
    return terminal;
}

bool set_terminal_size(int terminal, unsigned short rows, unsigned short columns) {
    winsize size{};
    size.ws_row = rows;
    size.ws_col = columns;
    return ::ioctl(terminal, TIOCSWINSZ, &size) == 0;
}

} // namespace engine
