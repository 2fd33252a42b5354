#include "compose/cli/context.hpp"
#include "compose/cli/progress.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <optional>

namespace compose::cli {

namespace {

struct down_flags {
    bool volumes = false;
    bool remove_orphans = false;
    std::optional<int> timeout;
};

engine::task<> down(context& with, std::shared_ptr<down_flags> flags) {
    const std::string name = with.project_name();
    std::string target = fmt::format(
        "/api/v1/projects/{}?volumes={:d}&remove_orphans={:d}", name, flags->volumes, flags->remove_orphans);
    if (flags->timeout)
        target += fmt::format("&timeout={}", *flags->timeout);
    api::client daemon = with.daemon();
    std::unique_ptr<api::client_stream> stream;
    try {
        stream = co_await daemon.open("DELETE", target);
    } catch (const error& failure) {
        if (failure.kind() != error_kind::not_found)
            throw;
    }
    if (!stream) {
        fmt::print(stderr, "warning: No resource found to remove for project \"{}\".\n", name);
        co_return;
    }
    co_await follow_operation(with, std::move(stream), "Running");
}

} // namespace

void add_down(CLI::App& app, action& chosen) {
    const auto flags = std::make_shared<down_flags>();
    CLI::App* command = app.add_subcommand("down", "Stop and remove containers, networks");
    command->add_flag("-v,--volumes", flags->volumes, "Remove named volumes declared in the file as well");
    command->add_flag("--remove-orphans", flags->remove_orphans,
        "Remove containers for services not defined in the Compose file");
    add_timeout(*command, flags->timeout);
    command->callback([flags, &chosen] { chosen = [flags](context& with) { return down(with, flags); }; });
}

} // namespace compose::cli
