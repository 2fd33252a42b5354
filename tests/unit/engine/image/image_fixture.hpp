#pragma once

#include "compose/model/error.hpp"
#include "engine/image/image_store.hpp"
#include "engine/store/store.hpp"
#include "tar_builder.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace engine {

/// A layer of an image that a test makes: its tar, and how it is packed.
struct test_layer {
    std::string tar;
    std::string packed; // as it is in an archive or registry; may be the tar itself
};

test_layer plain_layer(const std::vector<tar_entry>& entries);
test_layer gzip_layer(const std::vector<tar_entry>& entries);
test_layer zstd_layer(const std::vector<tar_entry>& entries);

/// A configuration document for layers, lowest first.
std::string config_for(const std::vector<test_layer>& layers, const std::string& command = "sh");

/// A docker-archive as `docker save` writes it.
std::string docker_archive(const std::string& name, const std::vector<test_layer>& layers);

/// A store of images in a folder of its own, and the loop that it runs on.
class image_fixture : public ::testing::Test {
  protected:
    image_fixture();
    ~image_fixture() override;

    /// Starts anew on the same folder, as after an end of the daemon.
    void open(image_settings settings = {});
    void close();

    template <typename T>
    T run(task<T> work);
    void run(task<> work);
    /// A worker's last reference to the loop may stop it at any time (scheduler::work_finished), so it is
    /// asked anew.
    void run_until(const bool& done);

    std::vector<std::string> load(const std::string& archive);
    image pull(const std::string& name, const std::string& platform = {});
    /// What the error of that pull says, and its kind.
    std::pair<compose::error_kind, std::string> pull_failure(
        const std::string& name, const std::string& platform = {});

    /// Names of the folders in layers/, and of what is half made.
    std::set<std::string> layers() const;
    std::set<std::string> leftovers() const;
    /// A file of an image as its topmost layer that has it shows it.
    std::string content(const image& of, const std::string& path) const;

    std::filesystem::path folder;
    boost::asio::io_context io;
    boost::asio::thread_pool workers{2};
    std::unique_ptr<store> records;
    std::unique_ptr<image_store> images;
    std::vector<pull_progress> progress;
};

template <typename T>
T image_fixture::run(task<T> work) {
    std::optional<T> result;
    std::exception_ptr failure;
    bool done = false;
    boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr thrown, T value) {
        failure = thrown;
        if (!thrown)
            result = std::move(value);
        done = true;
    });
    run_until(done);
    if (failure)
        std::rethrow_exception(failure);
    return std::move(*result);
}

} // namespace engine
