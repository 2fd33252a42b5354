#include "engine/project/operation.hpp"

#include <boost/asio/awaitable.hpp>

namespace engine {

task<> operation::wait() {
    while (!done_)
        co_await ended_.wait();
}

} // namespace engine
