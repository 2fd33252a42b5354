#include "engine/project/event.hpp"

#include <boost/asio/awaitable.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace engine {

namespace {

constexpr std::size_t ring_size = 4096;
constexpr std::size_t repairs_kept = 1000;
constexpr std::size_t repairs_shown = 20;

} // namespace

bool concerns(const event& what, const std::string& project) {
    return what.project == project || (what.project.empty() && what.status == "Repaired");
}

event_log::event_log(boost::asio::io_context& io) : added_(io) {}

void event_log::add(event what) {
    if (!what.current) // of a pull there are thousands
        spdlog::debug("{} {}: {}{} {}", what.kind, what.name, what.status, what.action, what.detail);
    what.sequence = next_++;
    what.time = std::chrono::system_clock::now();
    if (what.status == "Repaired") {
        repairs_.push_back(what);
        if (repairs_.size() > repairs_kept)
            repairs_.pop_front();
    }
    ring_.push_back(std::move(what));
    if (ring_.size() > ring_size)
        ring_.pop_front();
    added_.notify_all();
}

event_log::batch event_log::since(std::uint64_t from) const {
    from = std::max<std::uint64_t>(from, 1); // the first there ever was
    const std::uint64_t oldest = next_ - ring_.size();
    batch result{.events = {}, .next = next_, .missed = from < oldest ? oldest - from : 0};
    const std::uint64_t first = std::clamp(from, oldest, next_);
    result.events.assign(ring_.begin() + static_cast<std::ptrdiff_t>(first - oldest), ring_.end());
    return result;
}

std::vector<event> event_log::repairs(const std::string& project) const {
    std::vector<event> found;
    for (auto each = repairs_.rbegin(); each != repairs_.rend() && found.size() < repairs_shown; ++each)
        if (concerns(*each, project))
            found.push_back(*each);
    std::reverse(found.begin(), found.end());
    return found;
}

task<> event_log::wait(std::uint64_t from) {
    if (from >= next_)
        co_await added_.wait();
}

void event_log::wake() {
    added_.notify_all();
}

} // namespace engine
