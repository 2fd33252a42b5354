#include "api/http/query.hpp"
#include "compose/cli/context.hpp"
#include "compose/cli/progress.hpp"
#include "compose/cli/providers.hpp"
#include "compose/cli/terminal.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <optional>
#include <set>

namespace compose::cli {

namespace {

struct down_flags {
    bool volumes = false;
    bool remove_orphans = false;
    std::optional<int> timeout;
    std::string images; // all, local
    std::vector<std::string> services;
};

/// The images of containers that are about to go, by the names that the file has for them.
engine::task<std::set<std::string>> images_of(
    context& with, std::string project, std::vector<std::string> services) {
    api::client daemon = with.daemon();
    const std::string text = co_await daemon.call("GET", containers_target(project, services));
    const boost::json::value all = parse_reply(text);
    std::set<std::string> names;
    for (const boost::json::value& each : all.as_array())
        names.insert(text_of(each.as_object(), "image"));
    co_return names;
}

engine::task<> remove_images(context& with, std::set<std::string> names) {
    for (const std::string& name : names) {
        fmt::print(stderr, " Image {}  Removing\n", name);
        std::string said = "Removed";
        try {
            api::client daemon = with.daemon();
            co_await daemon.call("DELETE", "/api/v1/images/" + api::percent_encode(name));
        } catch (const error& failure) {
            if (failure.kind() != error_kind::not_found && failure.kind() != error_kind::conflict)
                throw;
            said = failure.kind() == error_kind::conflict ? "Resource is still in use"
                                                          : "Warning: No resource found to remove";
        }
        fmt::print(stderr, " Image {}  {}\n", name, said);
    }
}

struct declared_project {
    std::string name;
    /// The volumes that the file has for its own, where there is one: what only an earlier file had is data
    /// that nobody has said anything about.
    std::optional<std::vector<std::string>> volumes;
};

/// Reads the files once: they may come by the standard input.
declared_project read_declared(context& with) {
    try {
        const project read = with.load_project();
        declared_project found{.name = read.name, .volumes = std::vector<std::string>()};
        for (const auto& [key, volume] : read.volumes)
            if (!volume.external)
                found.volumes->push_back(volume.name);
        return found;
    } catch (const error& failure) {
        const auto name = project_name_without_file(with.files);
        if (!name || !with.files.files.empty())
            throw;
        if (failure.kind() != error_kind::not_found)
            fmt::print(stderr,
                "warning: the volumes are those that were brought up last, as of the file: {}\n",
                printable(failure.what(), true));
        return {.name = *name, .volumes = std::nullopt};
    }
}

engine::task<> take_down(
    context& with, std::shared_ptr<down_flags> flags, declared_project project, bool something_else) {
    const std::string name = project.name;
    std::set<std::string> images;
    if (flags->images == "all") // `local` are those that Compose has built, which composed does not
        images = co_await images_of(with, name, flags->services);
    // Those of some services alone: what the others use stays.
    const bool some = !flags->services.empty();
    api::target target = project_target(name, some ? "/stop" : "");
    if (some)
        target.with("remove", true);
    else
        target.with("volumes", flags->volumes).with("remove_orphans", flags->remove_orphans);
    if (!some && project.volumes)
        target.with("declared", fmt::format("{}", fmt::join(*project.volumes, ",")));
    add_services(target, flags->services);
    if (flags->timeout)
        target.with("timeout", *flags->timeout);
    api::client daemon = with.daemon();
    std::unique_ptr<api::client_stream> stream;
    try {
        stream = co_await daemon.open(some ? "POST" : "DELETE", target.text());
    } catch (const error& failure) {
        if (failure.kind() != error_kind::not_found || some)
            throw;
    }
    if (!stream && something_else)
        co_return;
    if (!stream) {
        fmt::print(stderr, "warning: No resource found to remove for project \"{}\".\n", name);
        co_return;
    }
    co_await follow_operation(with, std::move(stream), "Running");
    co_await remove_images(with, std::move(images));
}

engine::task<> down(context& with, std::shared_ptr<down_flags> flags) {
    const declared_project project = flags->volumes && flags->services.empty()
                                         ? read_declared(with)
                                         : declared_project{.name = with.project_name(), .volumes = {}};
    const provided_services provided = find_provided(with, flags->services);
    if (!provided.only)
        co_await take_down(with, flags, project, !provided.providers.empty());
    end_provided(project.name, provided.providers, "down", provided.variables);
}

} // namespace

void add_down(const command_line& app) {
    const auto flags = std::make_shared<down_flags>();
    const command_line command = app.add_subcommand("down", "Stop and remove containers, networks");
    command.add_flag("-v,--volumes", flags->volumes,
        "Remove the volumes that the file declares, and those without a name, as well");
    command
        .add_flag("--remove-orphans", flags->remove_orphans,
            "Remove containers for services not defined in the Compose file")
        .or_variable("COMPOSE_REMOVE_ORPHANS");
    add_timeout(command, flags->timeout);
    command
        .add_option("--rmi", flags->images,
            "Remove images used by services. \"local\" remove only images that don't have a custom tag")
        .check([](const std::string& text) {
            return text == "all" || text == "local" ? std::string()
                                                    : fmt::format("invalid value for --rmi: \"{}\"", text);
        });
    command.add_option("SERVICE", flags->services, "only the containers of these; all when none is named");
    command.runs([flags](context& with) { return down(with, flags); });
}

} // namespace compose::cli
