#include "engine/system/async_mutex.hpp"

#include <boost/asio/awaitable.hpp>

namespace engine {

task<async_mutex::guard> async_mutex::lock() {
    const auto mine = state_;
    while (mine->held)
        co_await mine->freed.wait();
    mine->held = true;
    co_return guard(mine);
}

} // namespace engine
