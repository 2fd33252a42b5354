#include "engine/system/blocking.hpp"

#include "compose/model/error.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace engine {
namespace {

TEST(blocking, runs_elsewhere_and_comes_back) {
    boost::asio::io_context io;
    boost::asio::thread_pool workers(1);
    std::thread::id worker;
    std::thread::id after;
    spawn(io, "test", [](auto& pool, auto& in, auto& back) -> task<> {
        auto work = [] { return std::this_thread::get_id(); };
        in = co_await blocking(pool, work);
        back = std::this_thread::get_id();
    }(workers, worker, after));
    io.run();
    EXPECT_NE(worker, after);
    EXPECT_EQ(after, std::this_thread::get_id());
}

TEST(blocking, an_exception_crosses_over) {
    boost::asio::io_context io;
    boost::asio::thread_pool workers(1);
    std::string caught;
    spawn(io, "test", [](auto& pool, auto& text) -> task<> {
        try {
            auto work = []() -> int { throw compose::error(compose::error_kind::conflict, "taken"); };
            co_await blocking(pool, work);
        } catch (const compose::error& failure) {
            text = failure.what();
        }
    }(workers, caught));
    io.run();
    EXPECT_EQ(caught, "taken");
}

} // namespace
} // namespace engine
