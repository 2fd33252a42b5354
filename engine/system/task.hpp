#pragma once

// Asio's coroutine type by declaration alone, so that headers that only name it stay cheap to include.
namespace boost::asio {
class any_io_executor;
class io_context;
class thread_pool;
template <typename T, typename Executor>
class awaitable;
} // namespace boost::asio

namespace engine {

/// A coroutine of the engine's thread. Include <boost/asio/awaitable.hpp> where one is defined or awaited.
template <typename T = void>
using task = boost::asio::awaitable<T, boost::asio::any_io_executor>;

} // namespace engine
