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

class container_runtime_test : public runtime_fixture {};

TEST_F(container_runtime_test, a_run_ends_with_its_exit_code) {
    const launch what = shell("exit 7");
    const std::string id = what.id;
    const start_record started = start(what);
    EXPECT_GT(started.pid, 0);
    const exit_record record = wait_exit(id);
    EXPECT_EQ(record.code, 7);
    EXPECT_EQ(record.signal, 0);
    EXPECT_FALSE(record.oom);
    EXPECT_EQ(record.generation, 1U);
}

TEST_F(container_runtime_test, output_is_in_the_log_with_its_stream) {
    const launch what = shell("echo hello; echo oops >&2");
    start(what);
    wait_exit(what.id);
    const std::string log = log_text(what.id);
    EXPECT_THAT(log, HasSubstr(R"({"log":"hello\n","stream":"stdout","time":")"));
    EXPECT_THAT(log, HasSubstr(R"({"log":"oops\n","stream":"stderr","time":")"));
}

TEST_F(container_runtime_test, nothing_of_the_hosts_is_open_in_the_container) {
    const launch what = shell("ls /proc/self/fd | wc -l; cat /proc/1/oom_score_adj");
    start(what);
    wait_exit(what.id);
    // 0, 1, 2 and the folder that ls reads
    EXPECT_THAT(log_text(what.id), HasSubstr(R"("log":"4\n")"));
    EXPECT_THAT(log_text(what.id), HasSubstr(R"("log":"0\n")"));
}

TEST_F(container_runtime_test, two_hundred_short_runs_each_start_and_end_once) {
    constexpr int total = 200;
    constexpr int at_once = 10;
    for (int round = 0; round < total / at_once; ++round) {
        int pending = at_once;
        std::vector<std::string> ids;
        for (int each = 0; each < at_once; ++each) {
            launch what = shell("");
            what.spec.args = {"/bin/true"};
            ids.push_back(what.id);
            created.insert(what.id);
            boost::asio::co_spawn(io,
                runtime->start(std::move(what),
                    [](pid_t) -> task<std::vector<held_socket>> { co_return std::vector<held_socket>(); }),
                [&](std::exception_ptr failure, start_record) {
                    EXPECT_FALSE(failure);
                    --pending;
                });
        }
        while (pending > 0) {
            io.restart();
            io.run_one();
        }
        for (const std::string& id : ids)
            EXPECT_EQ(wait_exit(id).code, 0);
    }
    for (const std::string& id : created) {
        EXPECT_EQ(starts[id].size(), 1U);
        EXPECT_EQ(exits[id].size(), 1U);
    }
}

TEST_F(container_runtime_test, a_missing_command_is_not_found_and_leaves_nothing) {
    launch what = shell("");
    what.spec.args = {"/no/such/program"};
    try {
        start(what);
        FAIL() << "started";
    } catch (const compose::error& failure) {
        EXPECT_EQ(failure.kind(), error_kind::not_found) << failure.what();
        EXPECT_THAT(failure.what(), HasSubstr("/no/such/program"));
    }
    EXPECT_TRUE(starts[what.id].empty());
    EXPECT_TRUE(exits[what.id].empty());
    EXPECT_TRUE(runtime->running().empty());
}

TEST_F(container_runtime_test, a_command_that_may_not_be_executed_is_invalid) {
    launch what = shell("");
    what.spec.args = {"/etc/passwd"};
    try {
        start(what);
        FAIL() << "started";
    } catch (const compose::error& failure) {
        EXPECT_EQ(failure.kind(), error_kind::invalid) << failure.what();
    }
}

TEST_F(container_runtime_test, an_unknown_user_is_named) {
    launch what = shell("true");
    what.spec.user = "nobody-here";
    try {
        start(what);
        FAIL() << "started";
    } catch (const compose::error& failure) {
        EXPECT_EQ(failure.kind(), error_kind::invalid);
        EXPECT_THAT(failure.what(), HasSubstr("nobody-here"));
    }
}

TEST_F(container_runtime_test, the_user_gets_numbers_groups_and_home_from_the_image) {
    launch what = shell("id; echo $HOME $HOSTNAME; hostname");
    what.spec.user = "web";
    start(what);
    wait_exit(what.id);
    EXPECT_THAT(log_text(what.id), HasSubstr("uid=33(web) gid=44(web) groups=44(web),55(logs)"));
    EXPECT_THAT(log_text(what.id), HasSubstr("/srv box"));
}

TEST_F(container_runtime_test, stop_ends_a_run_that_listens_to_the_signal) {
    const launch what = shell("trap 'exit 3' TERM; while :; do sleep 0.05; done");
    start(what);
    run(sleep(100ms));
    run(runtime->stop(what.id, SIGTERM, 10s));
    ASSERT_EQ(exits[what.id].size(), 1U);
    EXPECT_EQ(exits[what.id][0].code, 3);
    EXPECT_GE(exits[what.id][0].ran_for, 100ms);
}

TEST_F(container_runtime_test, stop_kills_a_run_that_does_not_listen) {
    const launch what = shell("trap '' TERM; while :; do sleep 0.05; done");
    start(what);
    run(sleep(100ms));
    const auto begin = std::chrono::steady_clock::now();
    run(runtime->stop(what.id, SIGTERM, 300ms));
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 300ms);
    ASSERT_EQ(exits[what.id].size(), 1U);
    EXPECT_EQ(exits[what.id][0].code, 137);
    EXPECT_EQ(exits[what.id][0].signal, SIGKILL);
}

TEST_F(container_runtime_test, stop_reaches_a_paused_run) {
    const launch what = shell("trap 'exit 3' TERM; while :; do sleep 0.05; done");
    start(what);
    run(sleep(50ms));
    run(runtime->pause(what.id, true));
    run(runtime->stop(what.id, SIGTERM, 5s));
    EXPECT_EQ(wait_exit(what.id).code, 3);
}

TEST_F(container_runtime_test, init_reaps_orphans_and_passes_signals_on) {
    launch what = shell("trap 'exit 5' TERM; for n in 1 2 3 4 5; do (sleep 0.02 &) ; done; sleep 0.2; grep "
                        "-l ' Z ' /proc/[0-9]*/stat | wc -l; "
                        "while :; do sleep 0.05; done");
    what.spec.init = true;
    start(what);
    run(sleep(500ms));
    run(runtime->stop(what.id, SIGTERM, 5s));
    EXPECT_EQ(wait_exit(what.id).code, 5);
    EXPECT_THAT(log_text(what.id), HasSubstr(R"("log":"0\n")"));
}

TEST_F(container_runtime_test, the_writable_layer_lasts_from_run_to_run_and_goes_with_remove) {
    launch what = shell("cat /kept 2>/dev/null; echo kept > /kept");
    start(what);
    wait_exit(what.id);
    exits.clear();
    what.generation = 2;
    start(what);
    EXPECT_EQ(wait_exit(what.id).generation, 2U);
    EXPECT_THAT(log_text(what.id), HasSubstr(R"("log":"kept\n")"));
    EXPECT_TRUE(fs::exists(runtime->upper(what.id) / "kept"));
    run(runtime->remove(what.id));
    EXPECT_FALSE(fs::exists(runtime->upper(what.id)));
}

TEST_F(container_runtime_test, files_for_names_are_mounted_and_symlinks_give_way) {
    fs::create_symlink("/run/systemd/stub", folder / "layer/etc/resolv.conf");
    launch what = shell("cat /etc/hosts /etc/resolv.conf /etc/hostname");
    what.hosts = "127.0.0.1 localhost\n";
    what.resolv_conf = "nameserver 127.0.0.11\n";
    start(what);
    EXPECT_EQ(wait_exit(what.id).code, 0);
    EXPECT_THAT(log_text(what.id), HasSubstr("127.0.0.1 localhost"));
    EXPECT_THAT(log_text(what.id), HasSubstr("nameserver 127.0.0.11"));
    EXPECT_THAT(log_text(what.id), HasSubstr(R"("log":"box\n")"));
}

TEST_F(container_runtime_test, an_image_whose_dev_is_a_symlink_is_refused) {
    fs::create_symlink("/tmp", folder / "layer/dev");
    const launch what = shell("true");
    EXPECT_THROW(start(what), compose::error);
}

TEST_F(container_runtime_test, mounts_and_read_only_root_are_as_asked) {
    fs::create_directories(folder / "data");
    launch what = shell(
        "echo x > /nope || echo root-ro; echo y > /data/file && echo data-rw; echo z > /ro/file || echo "
        "bind-ro; echo t > /t/f && stat -f -c %T /t");
    what.spec.read_only = true;
    what.spec.mounts = {
        {.source = folder / "data", .destination = "/data"},
        {.source = folder / "data", .destination = "/ro", .read_only = true},
        {.type = container_mount::kind::tmpfs, .destination = "/t", .options = {"size=1m"}},
    };
    start(what);
    wait_exit(what.id);
    const std::string log = log_text(what.id);
    for (const char* wanted : {"root-ro", "data-rw", "bind-ro", "tmpfs"})
        EXPECT_THAT(log, HasSubstr(wanted));
    EXPECT_EQ(read_file(folder / "data/file"), "y\n");
}

TEST_F(container_runtime_test, one_hundred_and_twenty_seven_layers_are_one_root) {
    launch what = shell("cat /number");
    for (int number = 0; number < 126; ++number) {
        const fs::path layer = folder / "layers-with-a-rather-long-name" / fmt::format("{:064}", number);
        fs::create_directories(layer);
        std::ofstream(layer / "number") << number << "\n";
        what.layers.insert(what.layers.begin(), layer);
    }
    start(what);
    wait_exit(what.id);
    EXPECT_THAT(log_text(what.id), HasSubstr(R"("log":"125\n")"));
}

TEST_F(container_runtime_test, a_new_daemon_finds_the_runs_of_the_old_one) {
    const launch stays = shell("trap 'exit 6' TERM; echo up; while :; do sleep 0.05; done");
    launch ends = shell("sleep 0.3; echo over; exit 8");
    ends.network = network_kind::own;
    const start_record before = start(stays);
    start(ends);
    dns.clear();
    drop_runtime();
    ::usleep(600'000);
    EXPECT_TRUE(exits.empty());

    make_runtime();
    const auto found = run(runtime->recover());
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].first, stays.id);
    EXPECT_EQ(found[0].second.pid, before.pid);
    EXPECT_EQ(found[0].second.started_at, before.started_at);
    ASSERT_EQ(exits[ends.id].size(), 1U);
    EXPECT_EQ(exits[ends.id][0].code, 8);
    EXPECT_GE(exits[ends.id][0].ran_for, 300ms);
    EXPECT_THAT(log_text(ends.id), HasSubstr("over"));
    exec_spec spec;
    spec.args = {"true"};
    exec_session session = run(runtime->exec(stays.id, spec));
    EXPECT_EQ(run(session.wait()), 0);
    run(runtime->stop(stays.id, SIGTERM, 5s));
    EXPECT_EQ(wait_exit(stays.id).code, 6);
}

TEST_F(container_runtime_test, a_killed_shim_is_an_exit_of_255_and_leaves_nothing) {
    const launch what = shell("sleep 100");
    const start_record started = start(what);
    ::kill(started.shim, SIGKILL);
    EXPECT_EQ(wait_exit(what.id).code, 255);
    const auto runs = [&] {
        const auto stat = read_file_if_there(fmt::format("/proc/{}/stat", started.pid));
        return stat && stat->find(") Z ") == std::string::npos; // reaped by whoever inherited it
    };
    EXPECT_FALSE(runs());
}

TEST_F(container_runtime_test, a_shim_killed_without_a_daemon_is_an_exit_too) {
    const launch what = shell("sleep 100");
    const start_record started = start(what);
    drop_runtime();
    ::kill(started.shim, SIGKILL);
    ::usleep(50'000);
    make_runtime();
    EXPECT_TRUE(run(runtime->recover()).empty());
    ASSERT_EQ(exits[what.id].size(), 1U);
    EXPECT_EQ(exits[what.id][0].code, 255);
}

TEST_F(container_runtime_test, dns_is_at_127_0_0_11_port_53_of_a_network_of_its_own) {
    launch what = shell("nslookup question.example 127.0.0.11");
    what.network = network_kind::own;
    start(what);
    ASSERT_TRUE(dns[what.id].udp);
    // nslookup asks for A and for AAAA.
    bool asked = false;
    for (int tries = 0; tries < 400 && log_text(what.id).find("NXDOMAIN") == std::string::npos; ++tries) {
        run(sleep(5ms));
        char bytes[512] = {};
        sockaddr_in from{};
        socklen_t length = sizeof from;
        const ssize_t got = ::recvfrom(dns[what.id].udp.get(), bytes, sizeof bytes, MSG_DONTWAIT,
            reinterpret_cast<sockaddr*>(&from), &length);
        if (got < 12)
            continue;
        const auto size = static_cast<std::size_t>(got);
        asked = asked || std::string(bytes, size).find("question") != std::string::npos;
        bytes[2] = static_cast<char>(0x81); // an answer
        bytes[3] = static_cast<char>(0x83); // NXDOMAIN
        ::sendto(dns[what.id].udp.get(), bytes, size, 0, reinterpret_cast<sockaddr*>(&from), length);
    }
    EXPECT_TRUE(asked);
    EXPECT_THAT(log_text(what.id), HasSubstr("NXDOMAIN"));
}

TEST_F(container_runtime_test, descriptors_of_the_hook_are_kept_until_the_end) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const unique_fd read_end(ends[0]);
    unique_fd write_end(ends[1]);
    launch what = shell("sleep 0.3");
    created.insert(what.id);
    run(runtime->start(what, [&](pid_t) -> task<std::vector<held_socket>> {
        std::vector<held_socket> kept;
        kept.emplace_back().socket = std::move(write_end);
        co_return kept;
    }));
    char byte = 0;
    EXPECT_EQ(::fcntl(read_end.get(), F_SETFL, O_NONBLOCK), 0);
    EXPECT_EQ(::read(read_end.get(), &byte, 1), -1); // somebody holds the other end
    wait_exit(what.id);
    EXPECT_EQ(::read(read_end.get(), &byte, 1), 0);
}

TEST_F(container_runtime_test, a_hook_that_throws_leaves_nothing) {
    const launch what = shell("true");
    EXPECT_THROW(run(runtime->start(what,
                     [](pid_t) -> task<std::vector<held_socket>> {
                         throw compose::error(error_kind::conflict, "port taken");
                         co_return std::vector<held_socket>();
                     })),
        compose::error);
    EXPECT_TRUE(runtime->running().empty());
}

TEST_F(container_runtime_test, networks_are_joined_and_shared) {
    launch first = shell("sleep 100");
    start(first);
    launch second = shell("readlink /proc/self/ns/net");
    second.network = network_kind::join;
    second.join_namespace = runtime->network_namespace(first.id);
    start(second);
    wait_exit(second.id);
    launch third = shell("readlink /proc/self/ns/net");
    third.network = network_kind::host;
    start(third);
    wait_exit(third.id);
    const fs::path joined = fs::read_symlink(runtime->network_namespace(first.id));
    EXPECT_THAT(log_text(second.id), HasSubstr(joined.native()));
    EXPECT_THAT(log_text(third.id), HasSubstr(fs::read_symlink("/proc/self/ns/net").native()));
}

TEST_F(container_runtime_test, running_out_of_memory_is_told) {
    launch what = shell("x=a; while :; do x=$x$x$x; done");
    what.spec.limits.memory = 16 << 20;
    what.spec.limits.memory_swap = 16 << 20;
    start(what);
    const exit_record record = wait_exit(what.id);
    EXPECT_EQ(record.code, 137);
    EXPECT_TRUE(record.oom);
}

TEST_F(container_runtime_test, a_learnt_system_call_filter_is_the_one_that_was_compiled) {
    std::vector<std::string> programs;
    for (int number = 0; number < 2; ++number) {
        const launch what = shell("grep Seccomp: /proc/self/status; sleep 100");
        start(what);
        programs.push_back(
            read_file_if_there(folder / "run/oci" / what.id / "seccomp.bpf").value_or("of runc, in memory"));
        for (int tries = 0; tries < 200 && log_text(what.id).empty(); ++tries)
            run(sleep(5ms));
        EXPECT_THAT(log_text(what.id), HasSubstr(R"(Seccomp:\t2\n)"));
    }
    EXPECT_FALSE(programs[0].empty());
    EXPECT_EQ(programs[0], programs[1]);
}

TEST_F(container_runtime_test, limits_above_our_own_are_lowered) {
    launch what = shell("ulimit -n");
    what.spec.rlimits = {{.name = "nofile", .soft = 1 << 20, .hard = 1 << 20}};
    start(what);
    EXPECT_EQ(wait_exit(what.id).code, 0);
}

} // namespace
} // namespace engine
