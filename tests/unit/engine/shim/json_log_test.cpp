#include "engine/shim/json_log.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace engine {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t moment = 1'700'000'000'123'456'789;

std::string escaped(std::string_view text) {
    std::string out;
    append_json_escaped(out, text);
    return out;
}

TEST(json_escaping, control_characters_and_quotes_are_escaped) {
    EXPECT_EQ(escaped("a\"b\\c\n\r\t\x01\x1b"), R"(a\"b\\c\n\r\t\u0001\u001b)");
    EXPECT_EQ(
        escaped("h\xc3\xa4llo \xe2\x82\xac \xf0\x9f\x98\x80"), "h\xc3\xa4llo \xe2\x82\xac \xf0\x9f\x98\x80");
}

TEST(json_escaping, what_is_not_utf8_is_replaced) {
    EXPECT_EQ(escaped("\xff"), R"(\ufffd)");
    EXPECT_EQ(escaped("\xc3"), R"(\ufffd)");
    EXPECT_EQ(escaped("\xc0\xaf"), R"(\ufffd\ufffd)");
    EXPECT_EQ(escaped("\xed\xa0\x80"), R"(\ufffd\ufffd\ufffd)"); // a surrogate
    EXPECT_EQ(escaped("\xf4\x90\x80\x80x"), R"(\ufffd\ufffd\ufffd\ufffdx)");
}

TEST(json_escaping, times_have_nanoseconds) {
    std::string text;
    append_timestamp(text, moment);
    EXPECT_EQ(text, "2023-11-14T22:13:20.123456789Z");
}

class json_log_test : public ::testing::Test {
  protected:
    json_log_test() {
        std::string pattern = "/tmp/composed-log-XXXXXX";
        folder = ::mkdtemp(pattern.data());
        file = folder / "x-json.log";
    }
    ~json_log_test() override { fs::remove_all(folder); }

    static std::string text_of(const fs::path& path) {
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        return text.str();
    }

    std::size_t lines_of(const fs::path& path) const {
        const std::string text = text_of(path);
        return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    }

    fs::path folder;
    fs::path file;
};

TEST_F(json_log_test, lines_are_dockers) {
    json_log log;
    ASSERT_TRUE(log.open(file, 0, 1));
    log.append(json_log::out, "one\ntw", moment);
    log.append(json_log::err, "bad\n", moment);
    log.append(json_log::out, "o\n", moment);
    log.flush();
    EXPECT_EQ(text_of(file), R"({"log":"one\n","stream":"stdout","time":"2023-11-14T22:13:20.123456789Z"}
{"log":"bad\n","stream":"stderr","time":"2023-11-14T22:13:20.123456789Z"}
{"log":"two\n","stream":"stdout","time":"2023-11-14T22:13:20.123456789Z"}
)");
}

TEST_F(json_log_test, the_end_of_a_stream_ends_its_line) {
    json_log log;
    ASSERT_TRUE(log.open(file, 0, 1));
    log.append(json_log::out, "no newline", moment);
    log.end(json_log::out, moment);
    EXPECT_THAT(text_of(file), testing::HasSubstr(R"({"log":"no newline","stream")"));
}

TEST_F(json_log_test, long_lines_are_written_in_parts_of_16_kib) {
    json_log log;
    ASSERT_TRUE(log.open(file, 0, 1));
    log.append(json_log::out, std::string(40'000, 'x') + "\n", moment);
    log.flush();
    EXPECT_EQ(lines_of(file), 3U);
    EXPECT_THAT(text_of(file), testing::HasSubstr("\"" + std::string(16'384, 'x') + "\""));
    EXPECT_THAT(text_of(file), testing::HasSubstr("\"" + std::string(40'000 - 2 * 16'384, 'x') + "\\n\""));
}

TEST_F(json_log_test, a_part_never_ends_inside_a_character) {
    json_log log;
    ASSERT_TRUE(log.open(file, 0, 1));
    std::string line = "a";
    while (line.size() < 20'000)
        line += "\xe2\x82\xac";
    log.append(json_log::out, line + "\n", moment);
    log.flush();
    EXPECT_EQ(text_of(file).find("ufffd"), std::string::npos);
}

TEST_F(json_log_test, rotation_keeps_so_many_files_of_about_the_size) {
    json_log log;
    ASSERT_TRUE(log.open(file, 1000, 3));
    for (int line = 0; line < 100; ++line) {
        log.append(json_log::out, "line " + std::to_string(line) + "\n", moment);
        log.flush();
    }
    EXPECT_TRUE(fs::exists(file.native() + ".1"));
    EXPECT_TRUE(fs::exists(file.native() + ".2"));
    EXPECT_FALSE(fs::exists(file.native() + ".3"));
    EXPECT_LT(fs::file_size(file.native() + ".1"), 1100U);
    EXPECT_GE(fs::file_size(file.native() + ".1"), 1000U);
    EXPECT_THAT(text_of(file), testing::HasSubstr("line 99"));
}

TEST_F(json_log_test, the_file_is_there_at_any_moment_of_a_rotation) {
    json_log log;
    ASSERT_TRUE(log.open(file, 500, 2));
    std::atomic<bool> over = false;
    std::thread writer([&] {
        for (int line = 0; line < 20'000; ++line) {
            log.append(json_log::out, "line\n", moment);
            log.flush();
        }
        over = true;
    });
    unsigned missed = 0;
    while (!over)
        missed += fs::exists(file) ? 0 : 1;
    writer.join();
    EXPECT_EQ(missed, 0U);
}

TEST_F(json_log_test, a_rotation_that_was_cut_off_is_finished) {
    std::ofstream(file) << "{\"log\":\"former\\n\"}\n";
    fs::create_hard_link(file, file.native() + ".1");
    json_log log;
    ASSERT_TRUE(log.open(file, 500, 2));
    log.append(json_log::out, "line\n", moment);
    log.flush();
    EXPECT_EQ(lines_of(file), 1U);
    EXPECT_THAT(text_of(file.native() + ".1"), testing::HasSubstr("former"));
}

TEST_F(json_log_test, a_line_that_does_not_end_does_not_keep_the_file_from_being_rotated) {
    json_log log;
    ASSERT_TRUE(log.open(file, 1000, 2));
    log.append(json_log::err, std::string(40'000, 'x'), moment); // its end never comes
    for (int line = 0; line < 100'000; ++line)
        log.append(json_log::out, "line of another stream\n", moment);
    log.flush();
    EXPECT_TRUE(fs::exists(file.native() + ".1"));
    EXPECT_LT(fs::file_size(file), 2U << 20U);
}

TEST_F(json_log_test, one_file_only_starts_anew) {
    json_log log;
    ASSERT_TRUE(log.open(file, 500, 1));
    for (int line = 0; line < 100; ++line)
        log.append(json_log::out, "line\n", moment);
    log.flush();
    EXPECT_LT(fs::file_size(file), 600U);
    EXPECT_FALSE(fs::exists(file.native() + ".1"));
}

TEST_F(json_log_test, parts_of_one_line_stay_in_one_file) {
    json_log log;
    ASSERT_TRUE(log.open(file, 100, 3));
    log.append(json_log::out, std::string(60'000, 'x') + "\n", moment);
    log.flush();
    EXPECT_EQ(lines_of(file), 4U);
    EXPECT_FALSE(fs::exists(file.native() + ".1"));
}

TEST_F(json_log_test, a_torn_end_of_an_earlier_writer_is_left_behind) {
    std::ofstream(file) << R"({"log":"half)";
    json_log log;
    ASSERT_TRUE(log.open(file, 0, 1));
    log.append(json_log::out, "whole\n", moment);
    log.flush();
    EXPECT_THAT(text_of(file), testing::StartsWith("{\"log\":\"half\n{\"log\":\"whole"));
}

TEST_F(json_log_test, a_disk_that_refuses_costs_lines_and_no_more) {
    json_log log;
    EXPECT_FALSE(log.open(folder / "missing/x.log", 0, 1));
    log.append(json_log::out, "lost\n", moment);
    log.flush();
    EXPECT_GT(log.dropped_bytes(), 0U);
    fs::create_directories(folder / "missing");
    log.append(json_log::out, "kept\n", moment);
    log.flush();
    const std::string text = text_of(folder / "missing/x.log");
    EXPECT_THAT(text, testing::HasSubstr("kept"));
    EXPECT_THAT(
        text, testing::StartsWith("{\"log\":\"composed: 75 bytes of this log were lost: No such file"));
}

TEST_F(json_log_test, attributes_are_in_each_line_and_a_tee_gets_the_text) {
    json_log log;
    log.open(file, 0, 1);
    log.set_attributes(R"({"role":"front"})");
    std::vector<std::string> heard;
    log.set_tee([&](json_log::stream from, std::string_view text, std::int64_t) {
        heard.push_back((from == json_log::err ? "err " : "out ") + std::string(text));
    });
    log.append(json_log::err, "one\n", moment);
    log.append(json_log::out, "two", moment);
    log.end(json_log::out, moment);
    EXPECT_THAT(heard, testing::ElementsAre("err one\n", "out two"));
    EXPECT_THAT(text_of(file),
        testing::StartsWith(R"({"log":"one\n","stream":"stderr","attrs":{"role":"front"},"time":")"));
}

} // namespace
} // namespace engine
