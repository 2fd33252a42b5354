#include "engine/image/chunk_queue.hpp"

#include "compose/model/error.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace engine {

void chunk_queue::throw_stopped() {
    throw compose::error(compose::error_kind::unavailable, "transfer: given up");
}

void chunk_queue::on_room(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    on_room_ = std::move(call);
}

std::optional<chunk_queue::chunk> chunk_queue::take_locked() {
    if (!free_.empty()) {
        chunk taken = std::move(free_.back());
        free_.pop_back();
        return taken;
    }
    if (spare_ == 0)
        return std::nullopt;
    --spare_;
    return chunk{.bytes = std::vector<char>(chunk_size)};
}

std::optional<chunk_queue::chunk> chunk_queue::try_take() {
    const std::lock_guard lock(mutex_);
    std::optional<chunk> taken = take_locked();
    wanted_ = !taken;
    return taken;
}

chunk_queue::chunk chunk_queue::take() {
    std::unique_lock lock(mutex_);
    std::optional<chunk> taken;
    changed_.wait(lock, [&] {
        if (!stopped_)
            taken = take_locked();
        return stopped_ || taken;
    });
    if (!taken)
        throw_stopped();
    return std::move(*taken);
}

void chunk_queue::push(chunk filled) {
    const std::lock_guard lock(mutex_);
    filled_.push_back(std::move(filled));
    changed_.notify_all();
}

void chunk_queue::finish(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    failure_ = std::move(failure);
    changed_.notify_all();
}

std::optional<chunk_queue::chunk> chunk_queue::pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || finished_ || !filled_.empty(); });
    if (stopped_)
        throw_stopped();
    if (failure_)
        std::rethrow_exception(failure_);
    if (filled_.empty())
        return std::nullopt;
    chunk next = std::move(filled_.front());
    filled_.pop_front();
    return next;
}

void chunk_queue::give_back(chunk used) {
    std::function<void()> call;
    {
        const std::lock_guard lock(mutex_);
        used.size = 0;
        free_.push_back(std::move(used));
        if (std::exchange(wanted_, false))
            call = on_room_;
        changed_.notify_all();
    }
    if (call)
        call();
}

void chunk_queue::stop() {
    std::function<void()> call;
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        if (std::exchange(wanted_, false))
            call = on_room_;
        changed_.notify_all();
    }
    if (call)
        call();
}

bool chunk_queue::stopped() const {
    const std::lock_guard lock(mutex_);
    return stopped_;
}

std::size_t queue_source::read(std::span<char> into) {
    while (used_ == current_.size) {
        if (!current_.bytes.empty())
            from_.give_back(std::exchange(current_, {}));
        std::optional<chunk_queue::chunk> next = from_.pop();
        used_ = 0;
        if (!next) {
            current_ = {};
            return 0;
        }
        current_ = std::move(*next);
    }
    const std::size_t count = std::min(into.size(), current_.size - used_);
    std::memcpy(into.data(), current_.bytes.data() + used_, count);
    used_ += count;
    return count;
}

namespace {

void run_ahead(byte_source& from, chunk_queue& into) {
    try {
        for (;;) {
            chunk_queue::chunk next = into.take();
            next.size = from.read(next.bytes);
            if (next.size == 0)
                break;
            into.push(std::move(next));
        }
        into.finish();
    } catch (...) {
        into.finish(std::current_exception());
    }
}

} // namespace

threaded_source::threaded_source(byte_source& from)
    : output_(queue_), thread_([this, &from] { run_ahead(from, queue_); }) {}

threaded_source::~threaded_source() {
    queue_.stop();
}

} // namespace engine
