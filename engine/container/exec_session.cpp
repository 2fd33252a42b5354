#include "engine/container/exec_session.hpp"

#include "engine/container/exec_state.hpp"
#include "engine/system/blocking.hpp"

#include <sys/ioctl.h>

namespace engine {

exec_session::exec_session(std::shared_ptr<shared> state) noexcept : state_(std::move(state)) {}
exec_session::exec_session(exec_session&&) noexcept = default;
exec_session& exec_session::operator=(exec_session&&) noexcept = default;
exec_session::~exec_session() = default;

pid_t exec_session::pid() const noexcept {
    return state_->pid;
}

stream_set& exec_session::streams() noexcept {
    return state_->streams;
}

void exec_session::resize(std::uint16_t rows, std::uint16_t columns) const {
    winsize size{};
    size.ws_row = rows;
    size.ws_col = columns;
    if (state_->terminal && ::ioctl(state_->terminal.get(), TIOCSWINSZ, &size) != 0)
        throw_errno("resize", "terminal");
}

void exec_session::signal(int number) const {
    if (!state_->code && state_->signal)
        state_->signal(number);
}

task<int> exec_session::wait() {
    const auto keep = state_;
    while (!keep->code)
        co_await keep->changed.wait();
    co_return *keep->code;
}

task<std::optional<int>> exec_session::wait_for(std::chrono::nanoseconds limit) {
    const auto keep = state_;
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!keep->code) {
        const std::chrono::nanoseconds left = until - std::chrono::steady_clock::now();
        if (left <= std::chrono::nanoseconds(0))
            co_return std::nullopt;
        co_await keep->changed.wait_for(left);
    }
    co_return keep->code;
}

std::optional<int> exec_session::exit_code() const noexcept {
    return state_->code;
}

} // namespace engine
