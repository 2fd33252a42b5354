#include "engine/store/repair.hpp"

#include "compose/model/error.hpp"
#include "engine/store/schema.hpp"
#include "engine/store/sqlite.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace engine {
namespace {

namespace fs = std::filesystem;

struct repair_test : ::testing::Test {
    repair_test() {
        std::string name = (fs::temp_directory_path() / "composed-repair-test-XXXXXX").native();
        folder = ::mkdtemp(name.data());
        file = folder / "state.db";
        sqlite_connection made(file);
        migrate(made, 0);
    }
    ~repair_test() override { fs::remove_all(folder); }

    static void put(const fs::path& into, const std::string& key, const std::string& value) {
        sqlite_connection(into).execute(
            fmt::format("INSERT OR REPLACE INTO container VALUES ('{}', '{}')", key, value));
    }
    static std::string get(const fs::path& from, const std::string& key) {
        sqlite_connection opened(from);
        return opened.query_text(fmt::format("SELECT value FROM container WHERE key = '{}'", key));
    }
    void copy() const {
        sqlite_connection opened(file);
        write_copy(opened, file);
        publish_copy(file);
    }
    repaired_table repaired_containers() const {
        for (const repaired_table& each : repair_store(file).tables)
            if (each.name == "container")
                return each;
        return {};
    }

    fs::path folder;
    fs::path file;
};

TEST_F(repair_test, a_value_that_is_none_comes_from_the_copy) {
    put(file, "a", "{\"x\":1}");
    put(file, "b", "{\"x\":2}");
    copy();
    put(file, "a", "{\"x\":3}");
    put(file, "b", "{\"x");
    const repaired_table done = repaired_containers();
    EXPECT_FALSE(done.whole);
    EXPECT_EQ(done.read, 1U);
    EXPECT_EQ(done.from_copy, 1U);
    EXPECT_EQ(get(file, "a"), "{\"x\":3}"); // what can be read is newer than the copy
    EXPECT_EQ(get(file, "b"), "{\"x\":2}");
}

TEST_F(repair_test, what_was_removed_since_the_copy_stays_removed) {
    put(file, "a", "1");
    put(file, "b", "2");
    put(file, "c", "3");
    copy();
    sqlite_connection(file).execute("DELETE FROM container WHERE key = 'a'");
    put(file, "b", "spoilt");
    EXPECT_EQ(repaired_containers().from_copy, 1U);
    EXPECT_EQ(get(file, "a"), "");
    EXPECT_EQ(get(file, "b"), "2");
    EXPECT_EQ(get(file, "c"), "3");
}

TEST_F(repair_test, without_a_copy_what_can_be_read_is_kept) {
    put(file, "a", "1");
    put(file, "b", "spoilt");
    const repair_report report = repair_store(file);
    EXPECT_EQ(report.copy, fs::file_time_type::min());
    EXPECT_EQ(get(file, "a"), "1");
    EXPECT_EQ(get(file, "b"), "");
    EXPECT_EQ(get(report.damaged, "b"), "spoilt");
}

TEST_F(repair_test, a_file_that_is_none_at_all_is_its_copy_again) {
    put(file, "a", "1");
    copy();
    write_file(file, std::string(5000, 'x'));
    EXPECT_EQ(repaired_containers().from_copy, 1U);
    EXPECT_EQ(get(file, "a"), "1");
}

TEST_F(repair_test, with_nothing_to_read_it_is_left_as_it_is) {
    write_file(file, std::string(5000, 'x'));
    EXPECT_THROW(repair_store(file), compose::error);
    EXPECT_EQ(read_file(file), std::string(5000, 'x'));
}

TEST_F(repair_test, a_sound_file_stays_as_it_is) {
    put(file, "a", "1");
    copy();
    put(file, "a", "2");
    for (const repaired_table& each : repair_store(file).tables)
        EXPECT_TRUE(each.whole && each.from_copy == 0) << each.name;
    EXPECT_EQ(get(file, "a"), "2");
}

} // namespace
} // namespace engine
