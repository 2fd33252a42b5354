#pragma once

#include "compose/cli/context.hpp"
#include "compose/cli/session.hpp"

#include <exception>
#include <memory>
#include <string>

namespace compose::cli {

/// Whether a failure is that the daemon does not answer, or not any more.
bool has_gone(const std::exception_ptr& failure);

/// The daemon has gone while it was listened to: containers go on without it, and so does what watches them.
/// Waits until it answers again, for half a minute (COMPOSED_RECONNECT: seconds); then, and for any other
/// failure, throws `failure`.
engine::task<> await_daemon(context& with, std::exception_ptr failure);

/// Waits for the end of a container, also across daemons: its exit code.
engine::task<int> wait_for_exit(context& with, std::string container);

/// converse() with the first process of a container: when the daemon goes meanwhile it is attached to again.
engine::task<int> converse_with_container(context& with, std::string container,
    std::unique_ptr<api::client_connection> opened, session_options how);

} // namespace compose::cli
