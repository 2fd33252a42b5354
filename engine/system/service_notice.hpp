#pragma once

#include "engine/system/fd.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace engine {

/// Tells systemd something (sd_notify(3): "READY=1"), where there is a NOTIFY_SOCKET; does nothing elsewhere.
void notify_service_manager(std::string_view state) noexcept;

/// The listening socket that systemd hands to a service with a .socket unit (sd_listen_fds(3)); the first
/// call takes it.
std::optional<unique_fd> take_inherited_socket() noexcept;

/// How often systemd wants to hear "WATCHDOG=1" (sd_watchdog_enabled(3)): half of what its patience is.
std::optional<std::chrono::microseconds> watchdog_interval() noexcept;

/// Whether the host is about to go down, by systemd where it runs the host; false elsewhere. Blocks for up to
/// some seconds.
bool host_goes_down();

/// Forks into the background (setsid, stdio to /dev/null). Returns in the child; the parent waits until the
/// child calls daemon_ready() and ends with 0, or with 1 when the child ends before.
void go_to_background();
void daemon_ready() noexcept;

/// Raises the number of open files to the hard limit: fifty containers need a few hundred.
void raise_file_limit() noexcept;

} // namespace engine
