#include "engine/system/folder_watch.hpp"

#include "compose/model/error.hpp"
#include "engine/system/blocking.hpp"
#include "engine/system/file.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

namespace engine {
namespace {

struct folder_watch_test : ::testing::Test {
    folder_watch_test() {
        std::string pattern = "/tmp/composed-watch-test-XXXXXX";
        folder = ::mkdtemp(pattern.data());
    }
    ~folder_watch_test() override { std::filesystem::remove_all(folder); }

    static task<> count(folder_watch& watch, int& woken) {
        co_await watch.changed();
        ++woken;
    }

    boost::asio::io_context io;
    std::filesystem::path folder;
};

// More than the kernel gives a user inotify instances.
TEST_F(folder_watch_test, five_hundred_at_once_are_told_each_of_its_own_folder) {
    std::vector<std::unique_ptr<folder_watch>> watches;
    std::vector<int> woken(500);
    for (std::size_t index = 0; index < woken.size(); ++index) {
        const std::filesystem::path each = folder / std::to_string(index);
        std::filesystem::create_directory(each);
        watches.push_back(std::make_unique<folder_watch>(io, each));
        spawn(io, "count", count(*watches.back(), woken[index]));
    }
    io.poll();
    write_file(folder / "7" / "log", "x");
    write_file(folder / "499" / "log", "x");
    io.run_for(std::chrono::milliseconds(50));
    for (std::size_t index = 0; index < woken.size(); ++index)
        EXPECT_EQ(woken[index], index == 7 || index == 499 ? 1 : 0) << index;
    watches.clear();
    io.run(); // and nothing keeps it from ending
}

TEST_F(folder_watch_test, what_changed_before_the_wait_ends_it) {
    folder_watch watch(io, folder);
    auto same = std::make_unique<folder_watch>(io, folder);
    write_file(folder / "log", "x");
    io.run_for(std::chrono::milliseconds(20));
    int woken = 0;
    spawn(io, "count", count(watch, woken));
    spawn(io, "count", count(*same, woken));
    io.run_for(std::chrono::milliseconds(20));
    EXPECT_EQ(woken, 2);
    same.reset();
    spawn(io, "count", count(watch, woken));
    io.run_for(std::chrono::milliseconds(20));
    EXPECT_EQ(woken, 2);
    watch.cancel();
    io.run(); // which it no longer keeps from ending
    EXPECT_EQ(woken, 3);
}

TEST_F(folder_watch_test, a_folder_that_is_not_there_is_an_error) {
    EXPECT_THROW(folder_watch(io, folder / "none"), compose::error);
}

} // namespace
} // namespace engine
