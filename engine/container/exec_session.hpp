#pragma once

#include "engine/system/fd.hpp"
#include "engine/system/task.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace engine {

/// A further process in a running container. Environment, user and capabilities are those of the container's
/// first process where nothing else is said.
struct exec_spec {
    std::vector<std::string> args;
    std::vector<std::string> env; // NAME=VALUE, over the container's
    std::string cwd;
    std::string user; // as in container_spec
    bool tty = false;
    bool attach_stdin = false; // else /dev/null
    bool attach_output = true; // else /dev/null
    bool merge_stderr = false; // one pipe for both: health probes
    bool privileged = false;
    std::uint16_t rows = 0; // 0: the kernel's default
    std::uint16_t columns = 0;
    /// By which a later daemon finds it in this run of the container, with its output and its end; empty: it
    /// is of this daemon alone. Never with a terminal.
    std::string name = {};
};

/// The daemon's ends of a process's or of a container's streams: non-blocking, close-on-exec. With a terminal
/// only `terminal` is set, for both directions. What is not asked for stays empty.
struct stream_set {
    unique_fd input; // write; close it for end-of-file
    unique_fd output;
    unique_fd error;
    unique_fd terminal;
};

/// One exec. Dropping it does not end the process; its streams break then.
class exec_session {
  public:
    struct shared;
    explicit exec_session(std::shared_ptr<shared> state) noexcept;
    exec_session(exec_session&&) noexcept;
    exec_session& operator=(exec_session&&) noexcept;
    ~exec_session();

    /// In the host's numbering.
    pid_t pid() const noexcept;

    /// Take what you need (std::move) and give it to Asio.
    stream_set& streams() noexcept;

    /// TIOCSWINSZ on the terminal; ignored without one. Throws error{internal}.
    void resize(std::uint16_t rows, std::uint16_t columns) const;

    /// Sends a signal to the process; a process that is gone is no error.
    void signal(int number) const;

    /// The exit code (128 + n when killed by signal n) once the process is gone, 255 when the shim went away.
    /// Output may still be in the pipes.
    task<int> wait();

    /// As wait(), but no longer than `limit`: nothing when the process still runs then.
    task<std::optional<int>> wait_for(std::chrono::nanoseconds limit);

    /// Nothing while it runs.
    std::optional<int> exit_code() const noexcept;

  private:
    std::shared_ptr<shared> state_;
};

} // namespace engine
