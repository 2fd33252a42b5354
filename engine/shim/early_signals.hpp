#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace engine {

/// Signals to a first process that has only just begun. The kernel throws away what the first process of a
/// pid namespace neither catches, blocks nor ignores, so a stop right after the start would go unheard:
/// before an init is set up, or a program that has a handler. Such signals wait here, for at most a second
/// after the start; then they are sent as they are.
class early_signals {
  public:
    /// The process has begun at `started` (monotonic ns, like all times here) and is a child not yet reaped.
    void send(pid_t process, std::int64_t started, int number);

    /// Sends what can be heard by now.
    void retry();

    /// The process has ended.
    void forget();

    /// When to retry; 0: nothing waits.
    std::int64_t deadline() const noexcept { return retry_at_; }

  private:
    pid_t process_ = -1;
    std::int64_t until_ = 0;
    std::int64_t retry_at_ = 0;
    std::vector<int> waiting_; // in the order they came
};

/// Whether a signal does something to the process, as far as /proc tells: it is not the first of its
/// namespace, or it has a say in what becomes of the signal.
bool hears_signal(pid_t process, int number);

} // namespace engine
