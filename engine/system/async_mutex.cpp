#include "engine/system/async_mutex.hpp"

#include <boost/asio/awaitable.hpp>

namespace engine {

task<async_mutex::guard> async_mutex::lock() {
    const auto mine = state_;
    const unsigned long number = mine->next++;
    while (mine->serving != number)
        co_await mine->freed.wait();
    co_return guard(mine);
}

} // namespace engine
