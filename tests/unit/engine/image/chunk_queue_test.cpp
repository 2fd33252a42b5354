#include "engine/image/chunk_queue.hpp"

#include "compose/model/error.hpp"
#include "memory_source.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>

namespace engine {
namespace {

class failing_source final : public byte_source {
  public:
    std::size_t read(std::span<char> into) override {
        if (++reads_ > 3)
            throw std::runtime_error("broken");
        into[0] = 'x';
        return 1;
    }

  private:
    int reads_ = 0;
};

class endless_source final : public byte_source {
  public:
    explicit endless_source(std::atomic<std::size_t>& given) : given_(given) {}
    std::size_t read(std::span<char> into) override {
        given_ += into.size();
        return into.size();
    }

  private:
    std::atomic<std::size_t>& given_;
};

TEST(threaded_source, passes_everything_on_in_order) {
    std::string text;
    for (int number = 0; number < 1'000'000; ++number)
        text += std::to_string(number);
    memory_source source(text, 10'007);
    threaded_source ahead(source);
    EXPECT_TRUE(drain(ahead, 5001) == text);
}

TEST(threaded_source, a_failure_reaches_the_reader) {
    failing_source source;
    threaded_source ahead(source);
    EXPECT_THROW(drain(ahead), std::runtime_error);
}

TEST(threaded_source, a_reader_that_leaves_ends_the_thread) {
    std::atomic<std::size_t> given = 0;
    endless_source source(given);
    {
        threaded_source ahead(source);
        std::string part(10, '\0');
        ahead.read(part);
    }
    const std::size_t at_end = given;
    EXPECT_LE(at_end, 16 * chunk_queue::chunk_size); // bounded: 8 buffers and what the reader has had
    EXPECT_EQ(given, at_end);
}

TEST(chunk_queue, tells_a_writer_that_found_no_buffer_of_the_next_free_one) {
    chunk_queue queue(1);
    int calls = 0;
    queue.on_room([&] { ++calls; });
    auto chunk = queue.try_take();
    ASSERT_TRUE(chunk);
    EXPECT_FALSE(queue.try_take());
    queue.give_back(std::move(*chunk));
    EXPECT_EQ(calls, 1);
    EXPECT_TRUE(queue.try_take());
    EXPECT_EQ(calls, 1);
}

TEST(chunk_queue, after_stop_nobody_waits) {
    chunk_queue queue(1);
    queue.take();
    queue.stop();
    EXPECT_THROW(queue.take(), compose::error);
    EXPECT_THROW(queue.pop(), compose::error);
}

} // namespace
} // namespace engine
