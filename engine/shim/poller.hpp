#pragma once

#include <poll.h>

#include <functional>
#include <vector>

namespace engine {

/// One turn of poll(2): who wants to hear of a descriptor says so anew before each wait, so there is no
/// registration that could outlive its descriptor.
class poller {
  public:
    using handler = std::function<void(short events)>;

    /// `events` may be 0: errors and hang-ups are reported anyway. A negative descriptor is passed over.
    void watch(int fd, short events, handler call) {
        if (fd < 0)
            return;
        entries_.push_back(pollfd{.fd = fd, .events = events, .revents = 0});
        handlers_.push_back(std::move(call));
    }

    /// Waits up to `milliseconds` (-1: for ever) and calls the handlers. Handlers may close descriptors that
    /// others watch: these must look for themselves whether theirs is still there.
    void wait(int milliseconds) {
        if (::poll(entries_.data(), entries_.size(), milliseconds) > 0)
            for (std::size_t at = 0; at < entries_.size(); ++at)
                if (entries_[at].revents != 0)
                    handlers_[at](entries_[at].revents);
        entries_.clear();
        handlers_.clear();
    }

  private:
    std::vector<pollfd> entries_;
    std::vector<handler> handlers_;
};

} // namespace engine
