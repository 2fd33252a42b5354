#include "runtime_fixture.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

namespace engine {
namespace {

namespace fs = std::filesystem;
using compose::error_kind;
using testing::HasSubstr;
using namespace std::chrono_literals;

/// What goes on beside the first process, or speaks with it.
class runtime_exec_test : public runtime_fixture {};

TEST_F(runtime_exec_test, exec_has_streams_an_environment_and_an_exit_code) {
    const launch what = shell("sleep 100");
    start(what);
    exec_spec spec;
    spec.args = {"/bin/sh", "-c", "cat; echo err >&2; echo $GREETING $HOME; id -u; exit 4"};
    spec.env = {"GREETING=hi"};
    spec.user = "web";
    spec.attach_stdin = true;
    exec_session session = run(runtime->exec(what.id, spec));
    ASSERT_EQ(::write(session.streams().input.get(), "in\n", 3), 3);
    session.streams().input.reset();
    EXPECT_EQ(read_to_end(session.streams().output), "in\nhi /srv\n33\n");
    EXPECT_EQ(read_to_end(session.streams().error), "err\n");
    EXPECT_EQ(run(session.wait()), 4);
}

TEST_F(runtime_exec_test, exec_has_a_terminal_with_its_size) {
    const launch what = shell("sleep 100");
    start(what);
    exec_spec spec;
    spec.args = {"/bin/sh", "-c", "stty size; readlink /proc/self/fd/0; sleep 0.3; stty size"};
    spec.tty = true;
    spec.rows = 40;
    spec.columns = 100;
    exec_session session = run(runtime->exec(what.id, spec));
    run(sleep(100ms));
    session.resize(50, 120);
    const std::string text = read_to_end(session.streams().terminal);
    EXPECT_THAT(text, HasSubstr("40 100"));
    EXPECT_THAT(text, HasSubstr("/dev/pts/"));
    EXPECT_THAT(text, HasSubstr("50 120"));
    EXPECT_EQ(run(session.wait()), 0);
}

TEST_F(runtime_exec_test, exec_of_a_missing_command_is_not_found) {
    const launch what = shell("sleep 100");
    start(what);
    exec_spec spec;
    spec.args = {"no-such-program"};
    try {
        run(runtime->exec(what.id, spec));
        FAIL() << "started";
    } catch (const compose::error& failure) {
        EXPECT_EQ(failure.kind(), error_kind::not_found) << failure.what();
    }
}

TEST_F(runtime_exec_test, exec_ends_by_signal_and_with_its_container) {
    const launch what = shell("sleep 100");
    start(what);
    exec_spec spec;
    spec.args = {"sleep", "100"};
    exec_session first = run(runtime->exec(what.id, spec));
    exec_session second = run(runtime->exec(what.id, spec));
    EXPECT_EQ(run(first.wait_for(50ms)), std::nullopt);
    first.signal(SIGTERM);
    EXPECT_EQ(run(first.wait()), 143);
    run(runtime->stop(what.id, SIGKILL, 5s));
    EXPECT_EQ(run(second.wait()), 137);
}

TEST_F(runtime_exec_test, attach_speaks_with_the_first_process) {
    launch what = shell("read line; echo got $line; echo bad >&2; exit 9");
    what.spec.stdin_open = true;
    start(what);
    stream_set streams = run(runtime->attach(what.id, {.input = true}));
    ASSERT_EQ(::write(streams.input.get(), "word\n", 5), 5);
    EXPECT_EQ(read_to_end(streams.output), "got word\n");
    EXPECT_EQ(read_to_end(streams.error), "bad\n");
    EXPECT_EQ(wait_exit(what.id).code, 9);
}

TEST_F(runtime_exec_test, attach_in_the_hook_sees_all_of_the_output) {
    launch what = shell("echo first");
    const std::string id = what.id;
    created.insert(id);
    stream_set streams;
    run(runtime->start(what, [&](pid_t) -> task<std::vector<held_socket>> {
        streams = co_await runtime->attach(id, attach_request());
        co_return std::vector<held_socket>();
    }));
    EXPECT_EQ(read_to_end(streams.output), "first\n");
    wait_exit(id);
}

TEST_F(runtime_exec_test, stdin_of_a_single_client_ends_with_it) {
    launch what = shell("cat; echo end");
    what.spec.stdin_open = true;
    what.spec.stdin_once = true;
    start(what);
    stream_set streams = run(runtime->attach(what.id, {.input = true}));
    ASSERT_EQ(::write(streams.input.get(), "x\n", 2), 2);
    streams.input.reset();
    EXPECT_EQ(read_to_end(streams.output), "x\nend\n");
    wait_exit(what.id);
}

TEST_F(runtime_exec_test, a_terminal_of_the_first_process_is_logged_attached_and_resized) {
    launch what = shell("stty size; read line; stty size; echo got $line");
    what.spec.tty = true;
    what.spec.stdin_open = true;
    what.rows = 30;
    what.columns = 90;
    start(what);
    run(sleep(50ms));
    stream_set streams = run(runtime->attach(what.id, {.input = true, .error = false}));
    runtime->resize(what.id, 31, 91);
    ASSERT_EQ(::write(streams.input.get(), "word\n", 5), 5);
    EXPECT_THAT(read_to_end(streams.output), HasSubstr("got word"));
    EXPECT_EQ(wait_exit(what.id).code, 0);
    EXPECT_THAT(log_text(what.id), HasSubstr("30 90"));
    EXPECT_THAT(log_text(what.id), HasSubstr("31 91"));
}

TEST_F(runtime_exec_test, a_client_that_does_not_read_does_not_hold_the_container_up) {
    const launch what =
        shell("sleep 0.2; yes 0123456789012345678901234567890123456789 | head -n 100000; echo done >&2");
    start(what);
    stream_set streams = run(runtime->attach(what.id, attach_request()));
    EXPECT_EQ(wait_exit(what.id).code, 0);
    EXPECT_THAT(log_text(what.id), HasSubstr("done"));
}

TEST_F(runtime_exec_test, a_named_exec_is_taken_over_by_the_next_daemon) {
    const launch what = shell("sleep 100");
    start(what);
    exec_spec spec;
    spec.name = "one";
    spec.merge_stderr = true;
    spec.args = {"sh", "-c", "echo begun; sleep 0.4; seq 1 5; exit 7"};
    const pid_t first = run(runtime->exec(what.id, spec)).pid();
    exec_spec nameless;
    nameless.args = {"sh", "-c", "sleep 0.6; exit 9"};
    run(runtime->exec(what.id, nameless));
    drop_runtime();

    make_runtime();
    run(runtime->recover());
    exec_spec other = spec; // it says what is to be where there is none of that name
    other.args = {"no-such-program"};
    exec_session taken_over = run(runtime->exec(what.id, other));
    EXPECT_EQ(taken_over.pid(), first);
    nameless.args = {"sh", "-c", "sleep 0.8; exit 3"}; // under no number that is in use
    exec_session another = run(runtime->exec(what.id, nameless));
    EXPECT_THAT(read_to_end(taken_over.streams().output), ::testing::EndsWith("1\n2\n3\n4\n5\n"));
    EXPECT_EQ(run(taken_over.wait()), 7);
    EXPECT_EQ(run(another.wait()), 3);
    EXPECT_NE(run(runtime->exec(what.id, spec)).pid(), first); // once
}

TEST_F(runtime_exec_test, the_end_of_a_named_exec_is_kept_for_the_next_daemon) {
    const launch what = shell("sleep 100");
    start(what);
    exec_spec spec;
    spec.name = "one";
    spec.args = {"sh", "-c", "sleep 0.1; echo why; exit 7"};
    run(runtime->exec(what.id, spec));
    drop_runtime();
    ::usleep(400'000);

    make_runtime();
    run(runtime->recover());
    spec.args = {"no-such-program"};
    exec_session taken_over = run(runtime->exec(what.id, spec));
    EXPECT_EQ(run(taken_over.wait()), 7);
    EXPECT_EQ(read_to_end(taken_over.streams().output), "why\n");
}

} // namespace
} // namespace engine
