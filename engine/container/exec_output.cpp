#include "engine/container/exec_output.hpp"

#include "engine/system/notifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>

namespace engine {

namespace asio = boost::asio;

namespace {

constexpr std::size_t page = 4096;
constexpr auto rest_limit = std::chrono::milliseconds(200);

} // namespace

struct exec_output::state {
    state(asio::io_context& io, kept part) : pipe(io), which(part), changed(io) {}

    void take(std::string_view bytes) {
        if (which == kept::beginning)
            bytes = bytes.substr(0, page - text.size());
        text.append(bytes);
        text.erase(0, text.size() - std::min(text.size(), page));
    }

    asio::posix::stream_descriptor pipe;
    kept which;
    std::string text;
    bool ended = false;
    notifier changed;
};

exec_output::exec_output(executors on, unique_fd pipe, kept which)
    : state_(std::make_shared<state>(on.io, which)) {
    if (!pipe) {
        state_->ended = true;
        return;
    }
    state_->pipe.assign(pipe.release());
    spawn(on.io, "output of a process", drain(state_));
}

exec_output::~exec_output() {
    boost::system::error_code ignored;
    state_->pipe.close(ignored);
}

task<> exec_output::drain(std::shared_ptr<state> of) {
    std::array<char, page> bytes{};
    boost::system::error_code failure;
    while (!failure) {
        const auto buffer = asio::buffer(bytes);
        const std::size_t got =
            co_await of->pipe.async_read_some(buffer, asio::redirect_error(asio::use_awaitable, failure));
        of->take(std::string_view(bytes.data(), got));
    }
    of->ended = true;
    of->changed.notify_all();
}

task<> exec_output::await_rest() {
    const auto of = state_;
    if (!of->ended)
        co_await of->changed.wait_for(rest_limit);
}

const std::string& exec_output::text() const noexcept {
    return state_->text;
}

} // namespace engine
