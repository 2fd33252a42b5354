#pragma once

#include "engine/image/byte_source.hpp"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace engine {

/// Bytes on their way from one thread to another: a bounded number of buffers that go round between one
/// writer and one reader. A writer that is ahead of its reader waits, so a slow disk slows the download down
/// and nothing piles up in memory. Safe to use from two threads.
class chunk_queue {
  public:
    static constexpr std::size_t chunk_size = 256U << 10U; // bytes

    struct chunk {
        std::vector<char> bytes; // chunk_size of them
        std::size_t size = 0;    // of which so many are filled
    };

    explicit chunk_queue(std::size_t depth = 8) : spare_(depth) {}

    /// Called on the reader's thread when a buffer comes free that try_take() had asked for in vain.
    void on_room(std::function<void()> call);

    /// The writer's side: a buffer to fill, if one is free.
    std::optional<chunk> try_take();
    /// As try_take(), but waits for one. Throws error{unavailable} after stop().
    chunk take();
    void push(chunk filled);
    /// No more will come; with a failure, the reader's next pop() throws it at once.
    void finish(std::exception_ptr failure = nullptr);

    /// The reader's side: waits for the next chunk; nothing at the end. Throws what finish() was given, or
    /// error{unavailable} after stop().
    std::optional<chunk> pop();
    void give_back(chunk used);

    /// Either side, or a third, gives up: whoever waits, or comes later, is told so.
    void stop();
    bool stopped() const;

  private:
    std::optional<chunk> take_locked();
    [[noreturn]] static void throw_stopped();

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<chunk> filled_;
    std::vector<chunk> free_;
    std::size_t spare_; // buffers that were not needed so far
    std::function<void()> on_room_;
    bool wanted_ = false;
    bool finished_ = false;
    bool stopped_ = false;
    std::exception_ptr failure_;
};

/// Reads what is put into a queue.
class queue_source final : public byte_source {
  public:
    explicit queue_source(chunk_queue& from) : from_(from) {}
    std::size_t read(std::span<char> into) override;

  private:
    chunk_queue& from_;
    chunk_queue::chunk current_;
    std::size_t used_ = 0;
};

/// Reads `from` on a thread of its own and ahead of its reader: two stages of a pipeline run at the same
/// time. `from` is left alone once the end was read, or this object is gone.
class threaded_source final : public byte_source {
  public:
    explicit threaded_source(byte_source& from);
    ~threaded_source() override;
    std::size_t read(std::span<char> into) override { return output_.read(into); }

  private:
    chunk_queue queue_;
    queue_source output_;
    std::jthread thread_;
};

} // namespace engine
