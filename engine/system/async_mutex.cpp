#include "engine/system/async_mutex.hpp"

#include <boost/asio/awaitable.hpp>

namespace engine {

task<async_mutex::guard> async_mutex::lock() {
    const auto mine = state_;
    if (mine->held) {
        ++mine->waiting;
        co_await mine->freed.wait(); // the one before hands it over
    }
    mine->held = true;
    co_return guard(mine);
}

void async_mutex::release(state& held) {
    if (held.waiting == 0) {
        held.held = false;
        return;
    }
    --held.waiting;
    held.freed.notify_one();
}

} // namespace engine
