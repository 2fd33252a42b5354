#include "engine/shim/state_files.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

namespace engine {
namespace {

TEST(start_time, is_field_22_whatever_the_name_holds) {
    const std::string fields = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21\n";
    EXPECT_EQ(start_time_of("12 (sh)" + fields), 4242);
    EXPECT_EQ(start_time_of("12 (a) b (c)" + fields), 4242);
    EXPECT_EQ(start_time_of("12 (a) S 1 2" + std::string(") x")), -1);
    EXPECT_EQ(start_time_of("nonsense"), -1);
    EXPECT_GT(process_start_time(::getpid()), 0);
}

TEST(exit_file, is_one_json_line) {
    shim_snapshot snapshot;
    snapshot.generation = 4;
    snapshot.code = 137;
    snapshot.signal = 9;
    snapshot.oom = 1;
    snapshot.finished_at = 17;
    snapshot.ran_for = 3;
    EXPECT_EQ(exit_record_line(snapshot),
        "{\"generation\":4,\"code\":137,\"signal\":9,\"oom\":true,\"finished_at\":17,\"ran_for\":3}\n");
}

TEST(oom_file, counts_kills_and_nothing_else) {
    const std::string file = "/tmp/composed-oom-" + std::to_string(::getpid());
    const auto with = [&](const char* text) {
        std::ofstream(file) << text;
        return has_oom_kill(file);
    };
    EXPECT_FALSE(with("oom_kill_disable 1\nunder_oom 0\noom_kill 0\n"));
    EXPECT_TRUE(with("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"));
    EXPECT_TRUE(with("low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\n"));
    EXPECT_FALSE(with("oom 3\n"));
    std::remove(file.c_str());
    EXPECT_FALSE(has_oom_kill(file));
}

} // namespace
} // namespace engine
