#include "engine/volume/secret_store.hpp"

#include "compose/model/error.hpp"
#include "engine/store/store.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>

namespace engine {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class secret_store_test : public ::testing::Test {
  protected:
    secret_store_test() {
        std::string pattern = "/tmp/composed-secrets-test-XXXXXX";
        folder = ::mkdtemp(pattern.data());
        open();
    }
    ~secret_store_test() override {
        secrets.reset();
        records.reset();
        fs::remove_all(folder);
    }

    /// Starts anew on the same folder, as after an end of the daemon.
    void open() {
        secrets.reset();
        records.reset();
        records = std::make_unique<store>(executors{.io = io, .workers = workers}, folder / "state.db");
        secrets = std::make_unique<secret_store>(*records, folder / "secret.key");
    }

    static compose::project project(const std::string& content) {
        compose::project made;
        made.name = "p";
        made.services["a"] = {.name = "a", .secrets = {{.source = "s"}}};
        made.secrets["s"] = {.name = "p_s", .content = compose::binary{content}};
        return made;
    }

    compose::project taken(const std::string& content) {
        compose::project made = project(content);
        secrets->take_contents(made, {"a"}, true);
        run(records->durable());
        return made;
    }

    void run(task<> work) {
        std::exception_ptr failure;
        bool done = false;
        boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr thrown) {
            failure = thrown;
            done = true;
        });
        while (!done) { // a worker's last reference to the loop may stop it at any time
            io.restart();
            io.run_one();
        }
        if (failure)
            std::rethrow_exception(failure);
    }

    std::string content(const compose::project& of) {
        const content_key key = key_of(of, content_kind::secret, of.services.at("a").secrets.front());
        std::string found;
        const auto read = [&]() -> task<> { found = co_await secrets->content(key); };
        run(read());
        return found;
    }

    boost::asio::io_context io;
    boost::asio::thread_pool workers{1};
    fs::path folder;
    std::unique_ptr<store> records;
    std::unique_ptr<secret_store> secrets;
};

TEST_F(secret_store_test, exchanges_contents_for_digests_under_which_they_are_found_again) {
    const compose::project first = taken("one");
    const compose::project second = taken("two");
    EXPECT_EQ(first.secrets.at("s").content, std::nullopt);
    EXPECT_NE(first, second);
    EXPECT_EQ(taken("one"), first);
    open();
    EXPECT_EQ(content(first), "one");
    EXPECT_EQ(content(second), "two");
    compose::project again = first; // as a rollback has it
    secrets->take_contents(again, {"a"}, true);
    EXPECT_EQ(again, first);
    again.name = "another";
    EXPECT_THROW(secrets->take_contents(again, {"a"}, true), compose::error);
    secrets->take_contents(again, {}, true); // who is not brought up needs none
}

TEST_F(secret_store_test, a_preview_keeps_nothing) {
    compose::project of = project("one");
    secrets->take_contents(of, {"a"}, false);
    EXPECT_THAT(secrets->projects(), IsEmpty());
    EXPECT_EQ(of, taken("one"));
}

TEST_F(secret_store_test, forgets_what_nobody_refers_to_but_nothing_that_was_taken_meanwhile) {
    const compose::project first = taken("one");
    const compose::project second = taken("two");
    std::uint64_t since = secrets->begin_collection();
    taken("one"); // while the revisions are read
    secrets->collect("p", {}, since);
    EXPECT_EQ(content(first), "one");
    EXPECT_THROW(content(second), compose::error);
    secrets->collect("other", {}, secrets->begin_collection());
    secrets->collect("p", contents_of(first), secrets->begin_collection());
    EXPECT_EQ(content(first), "one");
    secrets->collect("p", {}, secrets->begin_collection());
    EXPECT_THROW(content(first), compose::error);
    open();
    EXPECT_THAT(secrets->projects(), IsEmpty());
}

TEST_F(secret_store_test, external_ones_are_of_no_project_and_cannot_change) {
    secrets->create(content_kind::secret, "s", {{"l", "1"}}, "outer");
    EXPECT_THROW(secrets->create(content_kind::secret, "s", {}, "x"), compose::error);
    EXPECT_THROW(secrets->create(content_kind::secret, "a/b", {}, "x"), compose::error);
    EXPECT_EQ(secrets->find(content_kind::config, "s"), nullptr);
    run(records->durable());
    open();
    ASSERT_NE(secrets->find(content_kind::secret, "s"), nullptr);
    EXPECT_EQ(secrets->find(content_kind::secret, "s")->labels.at("l"), "1");
    compose::project of = project("");
    of.secrets["s"] = {.name = "s", .external = true};
    secrets->take_contents(of, {"a"}, true);
    EXPECT_EQ(content(of), "outer");
    EXPECT_THAT(secrets->projects(), IsEmpty());
    secrets->remove(content_kind::secret, "s");
    EXPECT_THROW(secrets->remove(content_kind::secret, "s"), compose::error);
    EXPECT_THROW(secrets->take_contents(of, {"a"}, true), compose::error);
}

} // namespace
} // namespace engine
