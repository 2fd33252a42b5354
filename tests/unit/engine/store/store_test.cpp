#include "engine/store/store.hpp"

#include "compose/model/error.hpp"
#include "engine/store/sqlite.hpp"
#include "engine/system/file.hpp"

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct store_test : ::testing::Test {
    store_test() {
        std::string pattern = "/tmp/composed-store-test-XXXXXX";
        folder = ::mkdtemp(pattern.data());
    }
    ~store_test() override { std::filesystem::remove_all(folder); }

    std::string refusal() {
        try {
            store refused({.io = io, .workers = workers}, folder / "state.db");
        } catch (const compose::error& failure) {
            return failure.what();
        }
        return {};
    }

    boost::asio::io_context io;
    boost::asio::thread_pool workers{1};
    std::filesystem::path folder;
};

TEST_F(store_test, what_is_durable_is_there_after_opening_again) {
    {
        store first({.io = io, .workers = workers}, folder / "state.db");
        first.put(table::project, "shop", "{\"a\":1}");
        first.put(table::project, "blog", "{}");
        first.put(table::volume, "shop", "{}");
        first.put(table::project, "shop", "{\"a\":2}");
        first.erase(table::volume, "shop");
        bool durable = false;
        spawn(io, "test", [](store& s, bool& flag) -> task<> {
            co_await s.durable();
            flag = true;
        }(first, durable));
        io.run();
        EXPECT_TRUE(durable);
    }
    store second({.io = io, .workers = workers}, folder / "state.db");
    EXPECT_THAT(second.load(table::project), ElementsAre(record{"blog", "{}"}, record{"shop", "{\"a\":2}"}));
    EXPECT_TRUE(second.load(table::volume).empty());
}

TEST_F(store_test, the_writes_of_one_turn_share_a_flush) {
    store subject({.io = io, .workers = workers}, folder / "state.db");
    for (int writer = 0; writer < 50; ++writer)
        spawn(io, "writer", [](store& s, int number) -> task<> {
            s.put(table::container, std::to_string(number), "{}");
            co_await s.durable();
        }(subject, writer));
    io.run();
    EXPECT_EQ(subject.load(table::container).size(), 50U);
    EXPECT_LE(subject.flushes(), 2U);
}

TEST_F(store_test, a_second_opener_is_refused) {
    const store first({.io = io, .workers = workers}, folder / "state.db");
    EXPECT_THAT(refusal(), HasSubstr("another composed uses it"));
}

TEST_F(store_test, a_file_of_a_newer_program_is_refused_with_what_to_do) {
    sqlite_connection(folder / "state.db").execute("PRAGMA user_version = 99");
    EXPECT_THAT(refusal(), HasSubstr("newer composed"));
}

TEST_F(store_test, a_file_that_is_no_store_is_refused_and_left_as_it_is) {
    const std::string text(5000, 'x');
    write_file(folder / "state.db", text);
    EXPECT_THAT(refusal(), HasSubstr("not a database"));
    EXPECT_EQ(read_file(folder / "state.db"), text);
}

} // namespace
} // namespace engine
