#pragma once

#include "engine/container/container_runtime.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace engine {

/// Really runs containers: a root folder of busybox, state and run folders of its own, an instance name of
/// its own. After each test no process, mount, cgroup or run folder may be left.
class runtime_fixture : public ::testing::Test {
  protected:
    runtime_fixture();
    ~runtime_fixture() override;

    void make_runtime();
    void drop_runtime();

    launch shell(const std::string& script);
    static std::string new_id();

    /// Runs `work` on the event loop until it is done; passes on what it throws.
    template <typename T>
    T run(task<T> work);
    void run(task<> work);
    template <typename T>
    static task<> keep_result(task<T> work, std::optional<T>* into);
    task<> sleep(std::chrono::milliseconds time);

    start_record start(launch what);
    exit_record wait_exit(const std::string& id);
    std::string log_text(const std::string& id);
    std::string read_to_end(const unique_fd& fd);

    std::filesystem::path folder;
    std::string instance;
    boost::asio::io_context io;
    boost::asio::thread_pool workers{2};
    std::unique_ptr<container_runtime> runtime;
    std::map<std::string, std::vector<start_record>> starts;
    std::map<std::string, std::vector<exit_record>> exits;
    std::map<std::string, dns_sockets> dns;
    std::set<std::string> created;
};

template <typename T>
T runtime_fixture::run(task<T> work) {
    std::optional<T> result;
    run(keep_result(std::move(work), &result));
    return std::move(*result);
}

template <typename T>
task<> runtime_fixture::keep_result(task<T> work, std::optional<T>* into) {
    T value = co_await std::move(work);
    *into = std::move(value);
}

} // namespace engine
