#include "engine/system/file.hpp"

#include "compose/model/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace engine {
namespace {

using ::testing::HasSubstr;

struct file_test : ::testing::Test {
    file_test() {
        std::string pattern = "/tmp/composed-file-test-XXXXXX";
        folder = ::mkdtemp(pattern.data());
    }
    ~file_test() override { std::filesystem::remove_all(folder); }

    std::filesystem::path folder;
};

TEST_F(file_test, what_was_written_is_read_back) {
    write_file(folder / "a", std::string(10000, 'x'));
    EXPECT_EQ(read_file(folder / "a"), std::string(10000, 'x'));
    EXPECT_FALSE(std::filesystem::exists(folder / "a.tmp"));
}

TEST_F(file_test, a_file_above_the_limit_is_refused) {
    write_file(folder / "a", "12345");
    EXPECT_EQ(read_file(folder / "a", 5), "12345");
    EXPECT_THROW(read_file(folder / "a", 4), compose::error);
}

TEST_F(file_test, a_missing_file_is_not_found_and_named) {
    EXPECT_EQ(read_file_if_there(folder / "none"), std::nullopt);
    try {
        read_file(folder / "none");
        FAIL();
    } catch (const compose::error& failure) {
        EXPECT_EQ(failure.kind(), compose::error_kind::not_found);
        EXPECT_THAT(failure.what(), HasSubstr((folder / "none").native()));
    }
}

} // namespace
} // namespace engine
