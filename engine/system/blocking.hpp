#pragma once

#include "engine/system/task.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <string>
#include <type_traits>
#include <utility>

namespace engine {

/// The two executors of the daemon: `io` runs on one thread, which owns all engine state and so needs no
/// locks; `workers` run what blocks. Both outlive everything that holds a reference to them.
struct executors {
    boost::asio::io_context& io;
    boost::asio::thread_pool& workers;
};

namespace blocking_detail {

template <typename Function>
task<std::invoke_result_t<Function&>> call(Function function) {
    co_return function();
}

} // namespace blocking_detail

/// Runs `function()` on a worker and resumes on the caller's executor with its value or its exception.
/// `function` takes values in and gives values out: it must never touch engine state.
///
/// Takes an lvalue only: g++ 12 destroys a closure twice that is a temporary in a full expression with a
/// co_await, so name it first:
///     auto work = [path] { return read_file(path); };
///     const std::string text = co_await blocking(workers, work);
template <typename Function>
auto blocking(boost::asio::thread_pool& workers, Function& function)
    -> task<std::invoke_result_t<std::remove_const_t<Function>&>> {
    return boost::asio::co_spawn(workers.get_executor(),
        blocking_detail::call<std::remove_const_t<Function>>(std::move(function)),
        boost::asio::use_awaitable);
}

/// Starts `work` on the engine's thread and lets it run on its own. What escapes it is logged as
/// "`name`: message"; cancellation is silent.
void spawn(boost::asio::io_context& io, std::string name, task<> work);

} // namespace engine
