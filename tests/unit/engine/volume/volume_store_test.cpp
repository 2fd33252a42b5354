#include "engine/volume/volume_store.hpp"

#include "compose/model/error.hpp"
#include "engine/store/store.hpp"
#include "engine/system/file.hpp"
#include "engine/volume/known_mounts.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

namespace engine {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class volume_store_test : public ::testing::Test {
  protected:
    volume_store_test() {
        std::string pattern = "/tmp/composed-volume-test-XXXXXX";
        folder = ::mkdtemp(pattern.data());
        fs::create_directories(layer() / "data");
        write_file(layer() / "data/f", "from the image");
        open();
    }
    ~volume_store_test() override {
        volumes.reset();
        records.reset();
        fs::remove_all(folder);
    }

    /// Starts anew on the same folder, as after an end of the daemon.
    void open() {
        volumes.reset();
        records.reset();
        const executors on{.io = io, .workers = workers};
        records = std::make_unique<store>(on, folder / "state.db");
        mounts = std::make_unique<known_mounts>(*records);
        volumes = std::make_unique<volume_store>(on, *records, *mounts, folder / "volume");
    }

    fs::path layer() const { return folder / "layer"; }

    void run(std::vector<task<>> work) {
        std::size_t left = work.size();
        std::exception_ptr failure;
        for (task<>& each : work)
            boost::asio::co_spawn(io, std::move(each), [&](std::exception_ptr thrown) {
                if (thrown)
                    failure = thrown;
                --left;
            });
        while (left > 0) { // a worker's last reference to the loop may stop it at any time
            io.restart();
            io.run_one();
        }
        if (failure)
            std::rethrow_exception(failure);
    }
    void run(task<> work) {
        std::vector<task<>> all;
        all.push_back(std::move(work));
        run(std::move(all));
    }

    void create(const std::string& name) {
        volume_definition wanted;
        wanted.name = name;
        wanted.project = "shop";
        wanted.labels = {{"a", "b"}};
        run([](volume_store& in, volume_definition what) -> task<> { co_await in.create(std::move(what)); }(
                                                             *volumes, std::move(wanted)));
    }
    void populate(const std::string& name, const std::string& path = "/data") {
        run(volumes->populate(name, {layer()}, path));
    }
    void settle() { run(records->durable()); }

    std::string content(const std::string& name) const {
        return read_file_if_there(volumes->path(name) / "f").value_or("(none)");
    }

    boost::asio::io_context io;
    boost::asio::thread_pool workers{2};
    fs::path folder;
    std::unique_ptr<store> records;
    std::unique_ptr<known_mounts> mounts;
    std::unique_ptr<volume_store> volumes;
};

TEST_F(volume_store_test, mount_points_are_known_after_a_new_start_and_never_more_than_a_thousand) {
    mounts->learn("/");
    mounts->learn("/mnt/gone");
    mounts->learn("/mnt/disk");
    mounts->forget("/mnt/gone");
    settle();
    open();
    EXPECT_EQ(mounts->all(), std::set<fs::path>{"/mnt/disk"});
    EXPECT_THROW(check_disk_of("/mnt/disk/data", mounts->all(), "source"), compose::error);
    for (int number = 0; number < 1200; ++number)
        mounts->learn("/mnt/" + std::to_string(number));
    settle();
    open();
    EXPECT_THAT(mounts->all(), SizeIs(1000));
}

TEST_F(volume_store_test, a_volume_is_there_after_a_new_start) {
    create("shop_db");
    create("shop_db");
    populate("shop_db");
    settle();
    open();
    const volume_record* found = volumes->find("shop_db");
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->definition.project, "shop");
    EXPECT_EQ(found->definition.labels.at("a"), "b");
    EXPECT_TRUE(found->populated);
    EXPECT_THAT(volumes->list(), SizeIs(1));
    EXPECT_EQ(content("shop_db"), "from the image");
}

TEST_F(volume_store_test, names_that_lead_elsewhere_are_refused) {
    for (const std::string name : {"", ".", "..", "a/b", "/etc", "-a", ".a", "a b", "a\n", "\xc3\xa4"})
        EXPECT_THROW(create(name), compose::error) << name;
    EXPECT_THROW(create(std::string(256, 'a')), compose::error);
    create("A0_.-z");
}

TEST_F(volume_store_test, is_filled_once_and_never_again) {
    create("v");
    populate("v");
    fs::remove(volumes->path("v") / "f");
    populate("v");
    EXPECT_EQ(content("v"), "(none)") << "its owner has emptied it";
}

TEST_F(volume_store_test, that_holds_something_is_left_alone) {
    create("v");
    write_file(volumes->path("v") / "f", "own");
    populate("v");
    EXPECT_EQ(content("v"), "own");
}

TEST_F(volume_store_test, two_containers_at_a_time_fill_it_once) {
    create("v");
    std::vector<task<>> both;
    for (int number = 0; number < 4; ++number)
        both.push_back(volumes->populate("v", {layer()}, "/data"));
    run(std::move(both));
    EXPECT_EQ(content("v"), "from the image");
    EXPECT_FALSE(fs::exists(folder / "volume/v/_data.tmp"));
}

TEST_F(volume_store_test, a_copy_that_a_crash_has_cut_short_is_made_anew) {
    create("v");
    fs::create_directory(folder / "volume/v/_data.tmp");
    write_file(folder / "volume/v/_data.tmp/half", "x");
    populate("v");
    EXPECT_EQ(content("v"), "from the image");
    EXPECT_FALSE(fs::exists(volumes->path("v") / "half"));
}

TEST_F(volume_store_test, whose_folder_has_disappeared_says_so) {
    create("v");
    populate("v");
    fs::remove_all(folder / "volume/v");
    try {
        populate("v");
        FAIL();
    } catch (const compose::error& failure) {
        EXPECT_EQ(failure.kind(), compose::error_kind::not_found);
        EXPECT_THAT(failure.what(), HasSubstr("has disappeared"));
    }
}

TEST_F(volume_store_test, removing_takes_the_folder_too_and_may_be_repeated) {
    create("v");
    populate("v");
    run(volumes->remove("v"));
    run(volumes->remove("v"));
    EXPECT_EQ(volumes->find("v"), nullptr);
    EXPECT_FALSE(fs::exists(folder / "volume/v"));
    create("v");
    EXPECT_EQ(content("v"), "(none)");
}

} // namespace
} // namespace engine
