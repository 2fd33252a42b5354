#pragma once

#include "engine/system/task.hpp"

#include <chrono>
#include <memory>

namespace engine {

/// Wakes every coroutine that waits on it. Level-triggered use only: a waiter looks at the state it cares
/// about again after each wake, as a wake says no more than «something may have changed».
class notifier {
  public:
    explicit notifier(boost::asio::io_context& io);
    ~notifier();

    void notify_all();

    /// Wakes the one that waits longest in wait().
    void notify_one();

    /// Resumes after the next notify_all().
    task<> wait();

    /// As wait(), but no longer than `limit`; true when notified.
    task<bool> wait_for(std::chrono::nanoseconds limit);

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
