#include "engine/container/shim_link.hpp"

#include "engine/shim/state_files.hpp"
#include "engine/system/file.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace engine {

namespace asio = boost::asio;

struct shim_link::implementation {
    implementation(asio::io_context& io, unique_fd fd) : socket(io, fd.release()) {}

    asio::posix::stream_descriptor socket;
};

shim_link::shim_link(asio::io_context& io, unique_fd socket)
    : implementation_(std::make_shared<implementation>(io, std::move(socket))) {}

shim_link::~shim_link() {
    close();
}

task<std::optional<shim_link::packet>> shim_link::receive() {
    const auto keep = implementation_;
    while (keep->socket.is_open()) {
        packet in;
        std::vector<int> descriptors;
        const receive_result result = receive_message(keep->socket.native_handle(), in.content, descriptors);
        if (result == receive_result::message) {
            for (const int fd : descriptors)
                in.descriptors.emplace_back(fd);
            co_return std::optional<packet>(std::move(in));
        }
        if (result == receive_result::closed)
            break;
        boost::system::error_code failure;
        co_await keep->socket.async_wait(
            asio::posix::stream_descriptor::wait_read, asio::redirect_error(asio::use_awaitable, failure));
        if (failure)
            break;
    }
    co_return std::nullopt;
}

bool shim_link::send(
    message_type type, std::uint32_t session, std::string payload, const std::vector<int>& descriptors) {
    if (!implementation_->socket.is_open())
        return false;
    const message out{.type = type, .session = session, .payload = std::move(payload)};
    return send_message(implementation_->socket.native_handle(), out, descriptors.data(), descriptors.size());
}

void shim_link::close() {
    boost::system::error_code ignored;
    implementation_->socket.close(ignored);
}

unique_fd connect_to_shim(const std::filesystem::path& folder) {
    // sockaddr_un holds 107 characters: the folder goes by its descriptor.
    const unique_fd at = open_file(folder, O_PATH | O_DIRECTORY);
    const std::string path = fmt::format("/proc/self/fd/{}/{}", at.get(), run_file::socket);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    unique_fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw_errno("connect to shim", folder.native());
    return socket;
}

std::pair<unique_fd, unique_fd> shim_socket_pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        throw_errno("create", "socket pair");
    return {unique_fd(ends[0]), unique_fd(ends[1])};
}

bool shim_lives(const std::filesystem::path& folder) {
    const unique_fd lock(::open((folder / run_file::lock).c_str(), O_RDWR | O_CLOEXEC));
    return lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

} // namespace engine
