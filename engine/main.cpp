#include "api/http/server.hpp"
#include "api/v1/routes.hpp"
#include "compose/model/error.hpp"
#include "engine/host_check.hpp"
#include "engine/options.hpp"
#include "engine/project/project_manager.hpp"
#include "engine/store/store.hpp"
#include "engine/system/file.hpp"
#include "engine/system/instance_lock.hpp"
#include "engine/system/service_notice.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

#include <unistd.h>

namespace {

using engine::daemon_options;

// What blocks, blocks here: unpacking, fsync, netlink. More threads than cores, as most of it waits for the
// kernel.
constexpr std::size_t worker_threads = 8;

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
          images(on, records, options.state / "image", options.images),
          volumes(on, records, options.state / "volume"), networks(on, records, options.networks),
          events(io), parts{.on = on,
                          .records = records,
                          .images = images,
                          .volumes = volumes,
                          .networks = networks,
                          .events = events},
          containers(parts,
              {.instance = options.instance,
                  .state = options.state,
                  .run = options.run,
                  .shim_program = options.shim,
                  .oci_runtime = options.runtime},
              options.logs),
          projects(parts, containers), server(io, routes) {
        api::add_v1_routes(routes,
            {.engine = parts, .containers = containers, .projects = projects, .version = COMPOSED_VERSION});
    }

    engine::executors on;
    engine::store records;
    engine::image_store images;
    engine::volume_store volumes;
    engine::network_manager networks;
    engine::event_log events;
    engine::engine_parts parts;
    engine::container_manager containers;
    engine::project_manager projects;
    api::router routes;
    api::server server;
};

engine::task<> start(daemon& of, const daemon_options& options) {
    co_await of.containers.recover();
    if (!options.pid_file.empty())
        engine::write_file(options.pid_file, std::to_string(::getpid()) + "\n");
    of.server.listen(options.run / "composed.sock", 0660, options.group);
    spdlog::info("composed {} serves {}/composed.sock, state in {}, runtime {}", COMPOSED_VERSION,
        options.run.native(), options.state.native(), of.containers.runtime().oci_runtime().native());
    of.projects.recover();
    engine::notify_service_manager("READY=1");
    engine::daemon_ready();
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
    boost::asio::co_spawn(io, start(whole, options), [&](std::exception_ptr failure) {
        if (!failure)
            return;
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& thrown) {
            spdlog::error("{}", thrown.what());
        }
        code = 1;
        io.stop();
    });
    boost::asio::signal_set signals(io, SIGTERM, SIGINT);
    signals.async_wait([&](boost::system::error_code, int) {
        spdlog::info("ends; containers go on");
        engine::notify_service_manager("STOPPING=1");
        whole.server.stop();
        io.stop();
    });
    io.run();
    workers.join();
    return code;
}

} // namespace

int main(int count, char** arguments) {
    try {
        const daemon_options options = engine::read_options(count, arguments);
        if (options.check)
            return engine::check_host(options) ? 0 : 1;
        return run(options);
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "composed: %s\n", failure.what());
        return 1;
    }
}
