#pragma once

#include <string_view>

namespace engine {

/// Tells systemd something (sd_notify(3): "READY=1"), where there is a NOTIFY_SOCKET; does nothing elsewhere.
void notify_service_manager(std::string_view state) noexcept;

/// Forks into the background (setsid, stdio to /dev/null). Returns in the child; the parent waits until the
/// child calls daemon_ready() and ends with 0, or with 1 when the child ends before.
void go_to_background();
void daemon_ready() noexcept;

/// Raises the number of open files to the hard limit: fifty containers need a few hundred.
void raise_file_limit() noexcept;

} // namespace engine
