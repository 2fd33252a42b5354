#pragma once

#include "engine/system/notifier.hpp"

#include <memory>
#include <utility>

namespace engine {

/// Puts coroutines of the engine's thread in turn where one must finish before the next begins: what they use
/// runs on a worker in between. First come, first served.
class async_mutex {
  public:
    explicit async_mutex(boost::asio::io_context& io) : state_(std::make_shared<state>(io)) {}

    /// Holds the mutex for its lifetime.
    class guard;
    task<guard> lock();

  private:
    struct state {
        explicit state(boost::asio::io_context& io) : freed(io) {}
        bool held = false;
        unsigned long waiting = 0;
        notifier freed;
    };
    static void release(state& held);
    std::shared_ptr<state> state_;
};

class async_mutex::guard {
  public:
    explicit guard(std::shared_ptr<state> held) noexcept : held_(std::move(held)) {}
    guard(guard&&) noexcept = default;
    guard& operator=(guard&&) = delete;
    ~guard() { release(); }

    /// Before the end of its lifetime.
    void release() {
        if (const std::shared_ptr<state> held = std::exchange(held_, nullptr))
            async_mutex::release(*held);
    }

  private:
    std::shared_ptr<state> held_;
};

} // namespace engine
