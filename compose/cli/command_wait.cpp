#include "compose/cli/context.hpp"
#include "compose/cli/progress.hpp"
#include "compose/cli/reconnect.hpp"
#include "compose/model/error.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <cstdio>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct wait_flags {
    bool down_project = false;
    std::vector<std::string> services;
};

/// The waits for several containers at the same time.
struct waits {
    explicit waits(boost::asio::io_context& io) : changed(io) {}

    engine::notifier changed;
    std::size_t under_way = 0;
    int code = 0; // of the one that ended last
    std::exception_ptr failure;
};

engine::task<> wait_for_one(context& with, waits& all, std::string id) {
    try {
        all.code = co_await wait_for_exit(with, id);
        fmt::print("container \"{}\" exited with status code {}\n", id, all.code);
        std::fflush(stdout);
    } catch (const error&) {
        all.failure = std::current_exception();
    }
    --all.under_way;
    all.changed.notify_all();
}

engine::task<> wait(context& with, std::shared_ptr<wait_flags> flags) {
    const std::string name = with.project_name();
    const json::array containers = co_await list_containers(with, name, flags->services);
    if (containers.empty())
        throw error(error_kind::not_found, fmt::format("no containers for project \"{}\"", name));
    waits all(with.io);
    all.under_way = containers.size();
    for (const json::value& each : containers)
        boost::asio::co_spawn(
            with.io, wait_for_one(with, all, text_of(each.as_object(), "id")), [](std::exception_ptr) {});
    while (all.under_way > 0)
        co_await all.changed.wait();
    if (all.failure)
        std::rethrow_exception(all.failure);
    with.exit_code = all.code;
    if (!flags->down_project)
        co_return;
    api::client daemon = with.daemon();
    api::target target = project_target(name);
    target.with("remove_orphans", true);
    std::unique_ptr<api::client_stream> stream = co_await daemon.open("DELETE", target.text());
    co_await follow_operation(with, std::move(stream), "Running");
}

} // namespace

void add_wait(const command_line& app) {
    const auto flags = std::make_shared<wait_flags>();
    const command_line command =
        app.add_subcommand("wait", "Block until containers of all (or specified) services stop");
    command.add_flag("--down-project", flags->down_project, "Drop project when the containers have stopped");
    command.add_option("SERVICE", flags->services, "services").required();
    command.runs([flags](context& with) { return wait(with, flags); });
}

} // namespace compose::cli
