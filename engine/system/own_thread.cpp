#include "engine/system/own_thread.hpp"

#include "engine/system/notifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <exception>
#include <memory>
#include <thread>
#include <utility>

namespace engine {

namespace {

struct outcome {
    explicit outcome(boost::asio::io_context& io) : changed(io) {}

    bool ended = false;
    std::exception_ptr failure;
    notifier changed;
};

} // namespace

task<> on_own_thread(boost::asio::io_context& io, std::function<void()> work) {
    const auto result = std::make_shared<outcome>(io);
    auto guard = boost::asio::make_work_guard(io);
    std::thread([result, guard = std::move(guard), work = std::move(work)]() mutable {
        std::exception_ptr failure;
        try {
            work();
        } catch (...) {
            failure = std::current_exception();
        }
        work = nullptr;
        boost::asio::post(guard.get_executor(), [result, failure] {
            result->failure = failure;
            result->ended = true;
            result->changed.notify_all();
        });
    }).detach();
    while (!result->ended)
        co_await result->changed.wait();
    if (result->failure)
        std::rethrow_exception(result->failure);
}

} // namespace engine
