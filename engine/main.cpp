#include "api/http/server.hpp"
#include "api/v1/routes.hpp"
#include "compose/model/error.hpp"
#include "engine/host_check.hpp"
#include "engine/options.hpp"
#include "engine/project/project_manager.hpp"
#include "engine/store/repair.hpp"
#include "engine/store/store.hpp"
#include "engine/system/blocking.hpp"
#include "engine/system/file.hpp"
#include "engine/system/instance_lock.hpp"
#include "engine/system/memory_file.hpp"
#include "engine/system/service_notice.hpp"
#include "engine/system/unix_socket.hpp"
#include "engine/volume/known_mounts.hpp"
#include "engine/volume/sealer.hpp"
#include "engine/volume/secret_store.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>

#include <unistd.h>

namespace {

using engine::daemon_options;

// What blocks, blocks here: unpacking, fsync, netlink. More threads than cores, as most of it waits for the
// kernel.
constexpr std::size_t worker_threads = 8;

constexpr const char* secret_key = "secret.key";     // in the state folder
constexpr const char* socket_name = "composed.sock"; // in the run folder

void open_log(const daemon_options& options) {
    auto log = options.log_file.empty() ? spdlog::stderr_color_mt("composed")
                                        : spdlog::basic_logger_mt("composed", options.log_file.native());
    log->set_level(spdlog::level::from_str(options.log_level));
    log->flush_on(spdlog::level::info);
    log->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
    spdlog::set_default_logger(std::move(log));
}

/// The engine's parts in the order in which they need one another.
struct daemon {
    daemon(boost::asio::io_context& io, boost::asio::thread_pool& workers, const daemon_options& options)
        : on{.io = io, .workers = workers}, records(on, options.state / "state.db"),
          images(on, records, options.state / "image", options.images), mounts(records),
          volumes(on, records, mounts, options.state / "volume"),
          secrets(records, options.state / secret_key), networks(on, records, options.networks),
          events(io), parts{.on = on,
                          .records = records,
                          .images = images,
                          .mounts = mounts,
                          .volumes = volumes,
                          .secrets = secrets,
                          .networks = networks,
                          .events = events},
          containers(parts,
              {.instance = options.instance,
                  .state = options.state,
                  .run = options.run,
                  .shim_program = options.shim,
                  .oci_runtime = options.runtime,
                  .cdi_folders = options.cdi_folders,
                  .user_ids = options.user_ids,
                  .api_socket = options.run / socket_name},
              options.logs),
          stats(on, containers), projects(parts, containers), stacks(on, projects, events, options.stacks),
          server(io, routes) {
        api::add_v1_routes(routes, {.engine = parts,
                                       .containers = containers,
                                       .stats = stats,
                                       .projects = projects,
                                       .stacks = stacks,
                                       .version = COMPOSED_VERSION});
    }

    engine::executors on;
    engine::store records;
    engine::image_store images;
    engine::known_mounts mounts;
    engine::volume_store volumes;
    engine::secret_store secrets;
    engine::network_manager networks;
    engine::event_log events;
    engine::engine_parts parts;
    engine::container_manager containers;
    engine::stats_collector stats;
    engine::project_manager projects;
    engine::stack_folder stacks;
    api::router routes;
    api::server server;
};

/// A socket of systemd's keeps clients waiting while no daemon is there, instead of turning them away.
void listen(daemon& of, const daemon_options& options) {
    const std::filesystem::path path = options.run / socket_name;
    std::optional<engine::unique_fd> inherited = engine::take_inherited_socket();
    if (!inherited) {
        of.server.listen(path, 0660, options.group);
        return;
    }
    if (std::filesystem::exists(path))
        engine::give_to_group(path, options.group);
    of.server.listen(std::move(*inherited));
}

/// Tells systemd that the engine's thread is alive, as often as it wants to hear.
engine::task<> tell_watchdog(boost::asio::io_context& io, std::chrono::microseconds interval) {
    boost::asio::steady_timer timer(io);
    for (;;) {
        engine::notify_service_manager("WATCHDOG=1");
        timer.expires_after(interval);
        co_await timer.async_wait(boost::asio::use_awaitable);
    }
}

engine::task<> start(daemon& of, const daemon_options& options) {
    co_await of.containers.recover();
    if (!options.pid_file.empty())
        engine::write_file(options.pid_file, std::to_string(::getpid()) + "\n");
    listen(of, options);
    spdlog::info("composed {} serves {}/composed.sock, state in {}, runtime {}", COMPOSED_VERSION,
        options.run.native(), options.state.native(), of.containers.runtime().oci_runtime().native());
    of.projects.recover();
    of.stacks.start();
    engine::notify_service_manager("READY=1");
    engine::daemon_ready();
    if (const auto interval = engine::watchdog_interval())
        engine::spawn(of.on.io, "watchdog", tell_watchdog(of.on.io, *interval));
}

// What the kernel may take for the bridges of networks that were just removed.
constexpr std::chrono::milliseconds settling{5000};

/// The daemon's end. Containers go on, unless the host goes down or they are to end with the daemon.
engine::task<> leave(daemon& of, const daemon_options& options) {
    auto ask = [] { return engine::host_goes_down(); };
    const bool with_host = co_await engine::blocking(of.on.workers, ask);
    if (!with_host && options.live_restore) {
        spdlog::info("ends; containers go on");
        engine::notify_service_manager("STOPPING=1");
        of.server.stop();
        co_await of.networks.settle(settling);
        co_return;
    }
    spdlog::info("ends, and all containers with it, as {}",
        with_host ? "the host goes down" : "live_restore is false");
    constexpr auto own_end = std::chrono::seconds(10); // what is killed at the very end takes a moment
    engine::notify_service_manager(fmt::format("STOPPING=1\nEXTEND_TIMEOUT_USEC={}",
        std::chrono::duration_cast<std::chrono::microseconds>(options.shutdown_timeout + own_end).count()));
    of.server.stop();
    co_await of.projects.end_all(options.shutdown_timeout);
    co_await of.networks.settle(settling);
    spdlog::info("all containers have ended");
}

/// What is below is nobody's but root's: secrets in the store, and programs with the set-user-id bit in the
/// layers, which others on the host could run (CVE-2021-41091). A folder that others use as well is left
/// open.
void make_state_folder(const std::filesystem::path& state) {
    namespace fs = std::filesystem;
    fs::create_directories(state);
    const bool ours =
        fs::exists(state / "state.db") ||
        std::all_of(fs::directory_iterator(state), fs::directory_iterator(),
            [](const fs::directory_entry& each) { return each.path().filename() == "lost+found"; });
    if (ours)
        fs::permissions(state, fs::perms::owner_all);
    else
        std::fprintf(stderr,
            "composed: warning: \"%s\" has files of others and stays as open as it is, with what composed "
            "keeps "
            "in it; give it a --state folder of its own\n",
            state.c_str());
}

std::string age_of(std::filesystem::file_time_type then) {
    const auto age = std::chrono::duration_cast<std::chrono::minutes>(
        std::filesystem::file_time_type::clock::now() - then);
    if (age.count() < 2)
        return "not two minutes";
    return age.count() < 120 ? fmt::format("{} minutes", age.count())
                             : fmt::format("{} hours", age.count() / 60);
}

/// For when the daemon refuses a damaged store; it tells what is back and what the person has to look after.
void repair(const daemon_options& options) {
    std::filesystem::create_directories(options.run);
    const engine::instance_lock alone(options.instance, options.run);
    const engine::repair_report report = engine::repair_store(options.state / "state.db");
    bool all = true;
    if (!report.needed) {
        fmt::print("The store is whole: there is nothing to repair.\n");
        return;
    }
    for (const engine::repaired_table& each : report.tables) {
        fmt::print("{:<10} {} records{}\n", each.name, each.read,
            each.whole ? "" : fmt::format(" could be read, {} more are from the copy", each.from_copy));
        all = all && each.whole;
    }
    const auto no_copy = std::filesystem::file_time_type::min();
    if (!all && report.copy == no_copy)
        fmt::print(
            "There was no copy of earlier: what could not be read is lost; compose up brings it back.\n");
    else if (!all)
        fmt::print("The copy was {} old: what came since then into the damaged part is lost; compose up "
                   "brings it back.\n",
            age_of(report.copy));
    if (!report.damaged.empty())
        fmt::print("The damaged file is kept as {}\n", report.damaged.native());
}

/// For when the key of secrets is lost.
void make_new_key(const daemon_options& options) {
    std::filesystem::create_directories(options.run);
    const engine::instance_lock alone(options.instance, options.run);
    const std::filesystem::path old = engine::replace_key(options.state / secret_key);
    if (!old.empty())
        fmt::print("The former key is kept as {}\n", old.native());
    fmt::print("There is a new key; bring the stacks with secrets up again from their files, and remove and "
               "create the external ones.\n");
}

int run(const daemon_options& options) {
    make_state_folder(options.state);
    std::filesystem::create_directories(options.run);
    if (options.daemonize)
        engine::go_to_background();
    open_log(options);
    engine::raise_file_limit();
    std::signal(SIGPIPE, SIG_IGN);

    const engine::instance_lock alone(options.instance, options.run);
    boost::asio::io_context io(1);
    boost::asio::thread_pool workers(worker_threads);
    daemon whole(io, workers, options);
    int code = 0;
    const auto end_after = [&](const std::exception_ptr& failure) {
        try {
            if (failure)
                std::rethrow_exception(failure);
        } catch (const std::exception& thrown) {
            spdlog::error("{}", thrown.what());
            code = 1;
        }
        io.stop();
    };
    boost::asio::co_spawn(io, start(whole, options), [&](const std::exception_ptr& failure) {
        if (failure)
            end_after(failure);
    });
    boost::asio::signal_set signals(io, SIGTERM, SIGINT);
    signals.async_wait([&](boost::system::error_code, int) {
        boost::asio::co_spawn(io, leave(whole, options), end_after);
        signals.async_wait(
            [&](boost::system::error_code, int) { io.stop(); }); // whoever asks twice is in a hurry
    });
    io.run();
    workers.join();
    return code;
}

} // namespace

int main(int count, char** arguments) {
    engine::forbid_core_files(); // they would have keys and secrets
    try {
        const daemon_options options = engine::read_options(count, arguments);
        if (options.check)
            return engine::check_host(options) ? 0 : 1;
        if (options.new_secret_key) {
            make_new_key(options);
            return 0;
        }
        if (options.repair_store) {
            repair(options);
            return 0;
        }
        return run(options);
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "composed: %s\n", failure.what());
        return 1;
    }
}
