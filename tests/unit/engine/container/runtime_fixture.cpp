#include "runtime_fixture.hpp"

#include "engine/system/cgroup.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

namespace engine {

namespace fs = std::filesystem;

namespace {

// What of this instance is on the host: processes and mounts that name the folder, cgroups.
std::string leftovers(const fs::path& folder, const std::string& instance) {
    std::string found;
    if (read_file("/proc/self/mountinfo").find(folder.native()) != std::string::npos)
        found += "mount; ";
    std::error_code ignored;
    for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup"))
        if (fs::exists(hierarchy.path() / instance, ignored))
            found += "cgroup " + (hierarchy.path() / instance).native() + "; ";
    if (!fs::is_empty(folder / "run/container", ignored))
        found += "run folder; ";
    if (!fs::is_empty(folder / "run/oci", ignored))
        for (const auto& entry : fs::directory_iterator(folder / "run/oci"))
            if (entry.path().filename().native().size() == 64)
                found += "OCI state; ";
    for (const auto& process : fs::directory_iterator("/proc")) {
        const fs::path cwd = fs::read_symlink(process.path() / "cwd", ignored);
        if (!ignored && cwd.native().starts_with((folder / "run").native()))
            found += "process " + process.path().filename().native() + "; ";
    }
    return found;
}

} // namespace

runtime_fixture::runtime_fixture() {
    std::string pattern = "/tmp/composed-test-XXXXXX";
    folder = ::mkdtemp(pattern.data());
    instance = folder.filename();
    fs::create_directories(folder / "layer/bin");
    fs::create_directories(folder / "layer/etc");
    fs::create_directories(folder / "layer/tmp");
    fs::copy_file("/bin/busybox", folder / "layer/bin/busybox");
    for (const char* applet :
        {"sh", "cat", "ls", "sleep", "true", "false", "id", "grep", "ps", "nc", "nslookup", "ip", "head",
            "tail", "yes", "stat", "kill", "env", "pwd", "hostname", "stty", "seq", "wc", "readlink"})
        fs::create_symlink("busybox", folder / "layer/bin" / applet);
    std::ofstream(folder / "layer/etc/passwd")
        << "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44::/srv:/bin/sh\n";
    std::ofstream(folder / "layer/etc/group") << "root:x:0:\nweb:x:44:\nlogs:x:55:web\n";
    make_runtime();
}

runtime_fixture::~runtime_fixture() {
    for (const std::string& id : created)
        try {
            run(runtime->stop(id, 9, std::chrono::seconds(1)));
            run(runtime->remove(id));
        } catch (const std::exception& failure) {
            ADD_FAILURE() << failure.what();
        }
    drop_runtime();
    workers.join();
    const std::string left = leftovers(folder, instance);
    EXPECT_EQ(left, "");
    std::error_code ignored;
    fs::remove_all(folder, ignored);
}

void runtime_fixture::make_runtime() {
    runtime_options options;
    options.instance = instance;
    options.state = folder / "state";
    options.run = folder / "run";
    options.shim_program = COMPOSED_SHIM;
    if (const char* wanted = std::getenv("COMPOSED_TEST_RUNTIME"))
        options.oci_runtime = wanted;
    runtime_events events;
    events.started = [this](
                         const std::string& id, const start_record& record) { starts[id].push_back(record); };
    events.exited = [this](std::string id, exit_record record) -> task<> {
        exits[id].push_back(record);
        co_return;
    };
    events.dns = [this](const std::string& id, dns_sockets sockets) { dns[id] = std::move(sockets); };
    runtime = std::make_unique<container_runtime>(executors{io, workers}, options, events);
}

void runtime_fixture::drop_runtime() {
    runtime.reset();
    io.restart();
    io.run_for(std::chrono::milliseconds(20));
}

launch runtime_fixture::shell(const std::string& script) {
    launch what;
    what.id = new_id();
    what.name = "test";
    what.layers = {folder / "layer"};
    what.spec.args = {"/bin/sh", "-c", script};
    what.spec.hostname = "box";
    what.network = network_kind::none;
    return what;
}

std::string runtime_fixture::new_id() {
    static int number = 0;
    return fmt::format("{:08x}{:056x}", ::getpid(), ++number);
}

void runtime_fixture::run(task<> work) {
    std::exception_ptr failure;
    bool done = false;
    boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr escaped) {
        failure = escaped;
        done = true;
    });
    while (!done) { // a worker's last reference to the loop may stop it at any time
        io.restart();
        io.run_one();
    }
    if (failure)
        std::rethrow_exception(failure);
}

task<> runtime_fixture::sleep(std::chrono::milliseconds time) {
    boost::asio::steady_timer timer(io, time);
    co_await timer.async_wait(boost::asio::use_awaitable);
}

namespace {

task<std::vector<held_socket>> nothing_to_do(pid_t) {
    co_return std::vector<held_socket>();
}

} // namespace

start_record runtime_fixture::start(launch what) {
    created.insert(what.id);
    return run(runtime->start(std::move(what), nothing_to_do));
}

exit_record runtime_fixture::wait_exit(const std::string& id) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    io.restart();
    while (exits[id].empty() && std::chrono::steady_clock::now() < limit)
        io.run_one_for(std::chrono::milliseconds(100));
    if (exits[id].empty())
        throw std::runtime_error("no exit in 10 s");
    return exits[id].back();
}

std::string runtime_fixture::log_text(const std::string& id) {
    return read_file(runtime->log_file(id));
}

// The daemon's own work goes on meanwhile.
std::string runtime_fixture::read_to_end(const unique_fd& fd) {
    std::string text;
    char bytes[4096];
    for (;;) {
        pollfd entry{.fd = fd.get(), .events = POLLIN, .revents = 0};
        if (::poll(&entry, 1, 1) == 0) {
            io.restart();
            io.poll();
            continue;
        }
        const ssize_t got = ::read(fd.get(), bytes, sizeof bytes);
        if (got <= 0)
            return text;
        text.append(bytes, static_cast<std::size_t>(got));
    }
}

} // namespace engine
