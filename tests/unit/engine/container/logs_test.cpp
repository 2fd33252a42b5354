#include "runtime_fixture.hpp"

#include "engine/container/former_logs.hpp"
#include "engine/container/log_files.hpp"
#include "engine/container/logs.hpp"
#include "engine/shim/json_log.hpp"

#include <gmock/gmock.h>

#include <sys/wait.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace engine {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t begin = 1'700'000'000 * second;

std::chrono::system_clock::time_point at(std::int64_t seconds) {
    return std::chrono::system_clock::time_point(std::chrono::nanoseconds(begin + seconds * second));
}

class logs_test : public ::testing::Test {
  protected:
    logs_test() {
        std::string pattern = "/tmp/composed-logs-XXXXXX";
        folder = ::mkdtemp(pattern.data());
        file = folder / "x-json.log";
    }
    ~logs_test() override {
        workers.join();
        fs::remove_all(folder);
    }

    void write(json_log& log, int from, int to) {
        for (int line = from; line < to; ++line) {
            log.append(line % 2 == 0 ? json_log::out : json_log::err, std::to_string(line) + "\n",
                begin + line * second);
            log.flush();
        }
    }

    static task<> collect(log_reader& reader, std::vector<std::string>& into, std::size_t enough) {
        while (into.size() < enough) {
            const std::vector<log_entry> entries = co_await reader.next();
            if (entries.empty())
                co_return;
            for (const log_entry& each : entries)
                into.push_back(each.text.substr(0, each.text.size() - 1));
        }
    }

    std::vector<std::string> read(log_query query) {
        log_reader reader({io, workers}, file, query);
        std::vector<std::string> lines;
        boost::asio::co_spawn(io, collect(reader, lines, SIZE_MAX), [](std::exception_ptr) {});
        io.restart();
        io.run();
        return lines;
    }

    fs::path folder;
    fs::path file;
    boost::asio::io_context io;
    boost::asio::thread_pool workers{1};
};

TEST_F(logs_test, a_line_is_parsed_with_stream_and_time) {
    const auto entry =
        parse_log_line(R"({"log":"a\u0001\"b\n","stream":"stderr","time":"2023-11-14T22:13:20.5Z"})");
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->text, "a\x01\"b\n");
    EXPECT_EQ(entry->stream, log_stream::err);
    EXPECT_EQ(entry->time, at(0) + 500ms);
}

TEST_F(logs_test, what_is_no_line_is_nothing) {
    for (const char* line : {"", "{", "[]", R"({"log":1,"time":"x"})", R"({"log":"x"})",
             R"({"log":"x","stream":"stdout","time":"yesterday"})", "[[[[[[[[[[]]]]]]]]]]"})
        EXPECT_FALSE(parse_log_line(line)) << line;
}

TEST_F(logs_test, no_file_is_no_lines) {
    EXPECT_THAT(read({}), testing::IsEmpty());
}

TEST_F(logs_test, rotated_files_come_first) {
    json_log log;
    log.open(file, 300, 4);
    write(log, 0, 12);
    ASSERT_TRUE(fs::exists(file.native() + ".2"));
    const std::vector<std::string> lines = read({});
    ASSERT_EQ(lines.size(), 12U);
    EXPECT_EQ(lines.front(), "0");
    EXPECT_EQ(lines.back(), "11");
}

TEST_F(logs_test, tail_counts_from_the_end_over_files) {
    json_log log;
    log.open(file, 300, 4);
    write(log, 0, 12);
    for (const std::size_t count : {0U, 1U, 2U, 5U, 11U, 12U, 50U}) {
        log_query query;
        query.tail = count;
        const std::vector<std::string> lines = read(query);
        ASSERT_EQ(lines.size(), std::min<std::size_t>(count, 12)) << count;
        if (!lines.empty()) {
            EXPECT_EQ(lines.back(), "11");
        }
    }
}

TEST_F(logs_test, tail_of_a_long_log_reads_backwards_over_blocks) {
    json_log log;
    log.open(file, 0, 1);
    write(log, 0, 5000);
    log_query query;
    query.tail = 1500;
    const std::vector<std::string> lines = read(query);
    ASSERT_EQ(lines.size(), 1500U);
    EXPECT_EQ(lines.front(), "3500");
}

TEST_F(logs_test, times_and_streams_are_filtered) {
    json_log log;
    log.open(file, 0, 1);
    write(log, 0, 10);
    log_query query;
    query.since = at(3);
    query.until = at(6);
    EXPECT_THAT(read(query), ElementsAre("3", "4", "5", "6"));
    query.err = false;
    EXPECT_THAT(read(query), ElementsAre("4", "6"));
}

TEST_F(logs_test, a_torn_line_is_passed_over) {
    json_log log;
    log.open(file, 0, 1);
    write(log, 0, 1);
    std::ofstream(file, std::ios::app) << "{\"log\":\"half\n";
    write(log, 1, 2);
    EXPECT_THAT(read({}), ElementsAre("0", "1"));
}

// As the shim's loop does.
void reap(json_log& log) {
    int status = 0;
    for (pid_t child = ::waitpid(-1, &status, 0); child > 0; child = ::waitpid(-1, &status, 0))
        log.on_exit(child, status);
}

TEST_F(logs_test, compressed_files_are_read_like_others_and_counted_from_the_end) {
    json_log log;
    log.open(file, 300, 9);
    log.compress();
    for (int line = 0; line < 24; ++line) {
        write(log, line, line + 1);
        reap(log);
    }
    EXPECT_FALSE(fs::exists(file.native() + ".1"));
    EXPECT_TRUE(fs::exists(file.native() + ".3.gz"));
    for (const std::size_t count : {0U, 1U, 5U, 11U, 23U, 24U, 50U}) {
        log_query query;
        query.tail = count;
        const std::vector<std::string> lines = read(query);
        ASSERT_EQ(lines.size(), std::min<std::size_t>(count, 24)) << count;
        if (!lines.empty()) {
            EXPECT_EQ(lines.back(), "23");
        }
    }
}

TEST_F(logs_test, a_file_that_is_compressed_while_it_is_read_is_not_read_again) {
    json_log log;
    log.open(file, 300, 9);
    write(log, 0, 4);
    log_files files(file);
    files.open(std::nullopt);
    std::vector<std::string> lines = files.read();
    log.compress();
    for (int line = 4; line < 30; ++line) {
        write(log, line, line + 1);
        reap(log);
        for (std::string& each : files.read())
            lines.push_back(std::move(each));
    }
    ASSERT_TRUE(fs::exists(file.native() + ".2.gz"));
    ASSERT_EQ(lines.size(), 30U);
    for (std::size_t line = 0; line < lines.size(); ++line)
        EXPECT_EQ(parse_log_line(lines[line])->text, std::to_string(line) + "\n");
}

TEST_F(logs_test, what_a_crash_left_uncompressed_is_compressed_by_the_next_run) {
    json_log before;
    before.open(file, 300, 9);
    write(before, 0, 16);
    ASSERT_TRUE(fs::exists(file.native() + ".3"));
    std::ofstream(file.native() + ".gz.tmp") << "half";
    json_log log;
    log.open(file, 300, 9);
    log.compress();
    reap(log);
    for (const char* number : {".1", ".2", ".3"}) {
        EXPECT_FALSE(fs::exists(file.native() + number));
        EXPECT_TRUE(fs::exists(file.native() + number + ".gz"));
    }
    EXPECT_FALSE(fs::exists(file.native() + ".gz.tmp"));
    EXPECT_EQ(read({}).size(), 16U);
}

TEST_F(logs_test, a_former_log_comes_first_and_is_forgotten_after_a_day) {
    const former_logs kept(folder / "former");
    for (const char* name : {"a", "b"}) {
        fs::create_directories(folder / name);
        json_log log;
        log.open(folder / name / "x-json.log", 300, 4);
        write(log, *name == 'a' ? 0 : 100, *name == 'a' ? 6 : 106);
        log.flush();
        kept.keep(folder / name / "x-json.log", "p", "s-1");
        EXPECT_TRUE(fs::is_empty(folder / name));
    }
    json_log log;
    log.open(file, 300, 4);
    write(log, 200, 203);
    const auto read_both = [&](std::optional<std::size_t> tail) {
        log_files files(file, kept.find("p", "s-1"));
        files.open(tail, false);
        std::vector<std::string> texts;
        for (std::vector<std::string> lines = files.read(); !lines.empty(); lines = files.read())
            for (const std::string& each : lines)
                texts.push_back(parse_log_line(each)->text);
        return texts;
    };
    EXPECT_THAT(read_both({}),
        ElementsAre("100\n", "101\n", "102\n", "103\n", "104\n", "105\n", "200\n", "201\n", "202\n"));
    EXPECT_THAT(read_both(4), ElementsAre("105\n", "200\n", "201\n", "202\n"));
    kept.expire();
    EXPECT_FALSE(kept.find("p", "s-1").empty());
    fs::last_write_time(folder / "former/p/s-1", fs::file_time_type::clock::now() - 25h);
    EXPECT_TRUE(kept.find("p", "s-1").empty());
    kept.expire();
    EXPECT_FALSE(fs::exists(folder / "former/p/s-1"));
    kept.forget("p");
    EXPECT_FALSE(fs::exists(folder / "former"));
}

TEST_F(logs_test, follow_goes_through_rotations_and_ends_when_finished) {
    json_log log;
    log.open(file, 300, 5);
    write(log, 0, 2);
    log_query query;
    query.follow = true;
    log_reader reader({io, workers}, file, query);
    std::vector<std::string> lines;
    bool done = false;
    boost::asio::co_spawn(io, collect(reader, lines, SIZE_MAX), [&](std::exception_ptr) { done = true; });
    io.restart();
    const auto wait_for = [&](std::size_t count) {
        const auto limit = std::chrono::steady_clock::now() + 5s;
        while (lines.size() < count && std::chrono::steady_clock::now() < limit)
            io.run_one_for(10ms);
        EXPECT_EQ(lines.size(), count);
    };
    wait_for(2);
    write(log, 2, 12); // several rotations between two looks
    wait_for(12);
    for (int line = 12; line < 40; ++line) {
        write(log, line, line + 1);
        wait_for(static_cast<std::size_t>(line) + 1);
    }
    EXPECT_FALSE(done);
    write(log, 40, 41);
    reader.finish();
    io.run();
    EXPECT_TRUE(done);
    ASSERT_EQ(lines.size(), 41U);
    for (std::size_t line = 0; line < lines.size(); ++line)
        EXPECT_EQ(lines[line], std::to_string(line));
}

TEST_F(logs_test, one_that_has_ended_goes_on_where_it_was) {
    json_log log;
    log.open(file, 0, 1);
    write(log, 0, 3);
    log_query query;
    query.follow = true;
    query.tail = 1;
    log_reader reader({io, workers}, file, query);
    std::vector<std::string> lines;
    for (const int next : {3, 5, 7}) {
        reader.finish();
        boost::asio::co_spawn(io, collect(reader, lines, SIZE_MAX), [](std::exception_ptr) {});
        io.restart();
        io.run();
        write(log, next, next + 2); // older than anybody knows that it writes again
        reader.go_on();
    }
    EXPECT_THAT(lines, ElementsAre("2", "3", "4", "5", "6"));
}

} // namespace
} // namespace engine
