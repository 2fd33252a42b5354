#include "engine/system/folder_watch.hpp"

#include "engine/system/fd.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <sys/inotify.h>

#include <array>
#include <cstring>
#include <map>
#include <set>

namespace engine {

namespace asio = boost::asio;

struct folder_watch::subscription {
    subscription(asio::io_context& io, hub& from) : wake(io), source(from) {}

    void tell() {
        pending = true;
        wake.notify_all();
    }

    notifier wake;
    hub& source;
    int watch = -1;
    bool pending = false;
    bool cancelled = false;
};

/// The inotify instance of an io_context, and who listens to which of its watches. Reads only while somebody
/// listens, so that it keeps no io_context from ending.
class folder_watch::hub : public asio::execution_context::service {
  public:
    static inline asio::execution_context::id id;

    explicit hub(asio::execution_context& context)
        : service(context), events_(static_cast<asio::io_context&>(context)) {}

    void add(subscription& who, const std::filesystem::path& folder) {
        if (!events_.is_open()) {
            unique_fd fresh(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
            if (!fresh)
                throw_errno("watch", folder.native());
            events_.assign(fresh.release());
        }
        // Of a folder that is watched already the same number.
        who.watch = ::inotify_add_watch(events_.native_handle(), folder.c_str(),
            IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM);
        if (who.watch < 0)
            throw_errno("watch", folder.native());
        listeners_[who.watch].insert(&who);
        if (!reading_)
            read();
    }

    void remove(subscription& who) {
        const auto found = listeners_.find(who.watch);
        if (found == listeners_.end() || found->second.erase(&who) == 0 || !found->second.empty())
            return;
        listeners_.erase(found);
        ::inotify_rm_watch(events_.native_handle(), who.watch); // refused when the folder went first
        if (listeners_.empty()) {
            boost::system::error_code ignored;
            events_.close(ignored);
        }
    }

  private:
    void shutdown() override {
        boost::system::error_code ignored;
        events_.close(ignored);
    }

    void read() {
        reading_ = true;
        events_.async_read_some(
            asio::buffer(buffer_), [this](boost::system::error_code failure, std::size_t size) {
                reading_ = false;
                if (!failure)
                    tell(size);
                if (!listeners_.empty() && events_.is_open())
                    read();
            });
    }

    void tell(std::size_t size) {
        for (std::size_t at = 0; at + sizeof(inotify_event) <= size;) {
            inotify_event event{};
            std::memcpy(&event, buffer_.data() + at, sizeof(event));
            at += sizeof(event) + event.len;
            for (const auto& [watch, who] : listeners_)
                if (watch == event.wd || (event.mask & IN_Q_OVERFLOW) != 0)
                    for (subscription* each : who)
                        each->tell();
        }
    }

    asio::posix::stream_descriptor events_;
    std::array<char, 16384> buffer_{};
    std::map<int, std::set<subscription*>> listeners_;
    bool reading_ = false;
};

folder_watch::folder_watch(asio::io_context& io, const std::filesystem::path& folder)
    : subscription_(std::make_shared<subscription>(io, asio::use_service<hub>(io))) {
    subscription_->source.add(*subscription_, folder);
}

folder_watch::~folder_watch() {
    cancel();
}

task<> folder_watch::changed() {
    const auto self = subscription_;
    while (!self->pending && !self->cancelled)
        co_await self->wake.wait();
    self->pending = false;
}

void folder_watch::cancel() {
    subscription_->cancelled = true;
    subscription_->source.remove(*subscription_);
    subscription_->wake.notify_all();
}

} // namespace engine
