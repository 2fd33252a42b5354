#pragma once

#include "engine/system/task.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>

namespace engine {

/// Runs `work` on a thread of its own and resumes when it has returned, with its exception: for what blocks
/// as long as a client likes, and so must not hold a worker. `work` never touches engine state.
task<> on_own_thread(boost::asio::io_context& io, std::function<void()> work);

} // namespace engine
