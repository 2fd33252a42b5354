#include "engine/system/notifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace engine {

namespace asio = boost::asio;

// A timer that never fires is Asio's condition variable: cancelling it wakes all who wait.
struct notifier::implementation {
    explicit implementation(asio::io_context& context) : io(context), timer(context) {
        timer.expires_at(asio::steady_timer::time_point::max());
    }

    asio::io_context& io;
    asio::steady_timer timer;
    unsigned long generation = 0;
};

notifier::notifier(asio::io_context& io) : implementation_(std::make_shared<implementation>(io)) {}

notifier::~notifier() {
    notify_all();
}

void notifier::notify_all() {
    ++implementation_->generation;
    implementation_->timer.cancel();
}

void notifier::notify_one() {
    implementation_->timer.cancel_one();
}

task<> notifier::wait() {
    const auto keep = implementation_;
    boost::system::error_code ignored;
    co_await keep->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

task<bool> notifier::wait_for(std::chrono::nanoseconds limit) {
    // A waiter with a limit has a timer of its own, and a helper coroutine passes the wake on to it.
    struct pair {
        std::shared_ptr<implementation> source;
        asio::steady_timer own;
        bool woken = false;
    };
    const auto state = std::make_shared<pair>(
        pair{.source = implementation_, .own = asio::steady_timer(implementation_->io, limit)});
    implementation_->timer.async_wait([weak = std::weak_ptr<pair>(state)](boost::system::error_code) {
        if (const auto waiter = weak.lock()) {
            waiter->woken = true;
            waiter->own.cancel();
        }
    });
    boost::system::error_code ignored;
    co_await state->own.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    co_return state->woken;
}

} // namespace engine
