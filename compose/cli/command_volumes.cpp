#include "api/http/query.hpp"
#include "compose/cli/context.hpp"
#include "compose/cli/table.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

// `compose volumes` shows a project's, `compose volume` manages all of the host's.
namespace compose::cli {

namespace json = boost::json;

namespace {

struct volumes_flags {
    bool quiet = false;
    std::string format = "table";
    std::vector<std::string> services;
    std::string name;
    std::string driver = "local";
    std::vector<std::string> options;
    std::vector<std::string> labels;
    std::vector<std::string> names;
};

/// The members of `docker volume ls --format json`.
json::object json_of(const json::object& volume) {
    std::vector<std::string> labels;
    for (const auto& label : volume.at("labels").as_object())
        labels.push_back(
            fmt::format("{}={}", std::string_view(label.key()), std::string_view(label.value().as_string())));
    return {{"Availability", "N/A"}, {"Driver", text_of(volume, "driver")}, {"Group", "N/A"},
        {"Labels", fmt::format("{}", fmt::join(labels, ","))}, {"Links", "N/A"},
        {"Mountpoint", text_of(volume, "mountpoint")}, {"Name", text_of(volume, "name")}, {"Scope", "local"},
        {"Size", "N/A"}, {"Status", "N/A"}};
}

using row_of = std::vector<std::string> (*)(const json::object& volume);

void show(
    const json::array& all, const volumes_flags& flags, const std::vector<std::string>& head, row_of row) {
    std::vector<std::vector<std::string>> rows;
    std::vector<json::object> forms;
    for (const json::value& each : all) {
        const json::object& volume = each.as_object();
        if (flags.quiet)
            fmt::print("{}\n", text_of(volume, "name"));
        rows.push_back(row(volume));
        forms.push_back(json_of(volume));
    }
    if (flags.quiet)
        return;
    if (flags.format == "table")
        fmt::print("{}", format_table(head, rows, narrowest_column));
    else
        fmt::print("{}", format_rows(flags.format, forms));
}

engine::task<> volumes(context& with, std::shared_ptr<volumes_flags> flags) {
    api::client daemon = with.daemon();
    api::target target("/api/v1/volumes");
    target.with("project", with.project_name());
    add_services(target, flags->services);
    const std::string text = co_await daemon.call("GET", target.text());
    const json::value all = parse_reply(text);
    show(all.as_array(), *flags, {"DRIVER", "VOLUME NAME"}, [](const json::object& volume) {
        return std::vector<std::string>{text_of(volume, "driver"), text_of(volume, "name")};
    });
}

engine::task<> list(context& with, std::shared_ptr<volumes_flags> flags) {
    api::client daemon = with.daemon();
    const std::string text = co_await daemon.call("GET", "/api/v1/volumes");
    const json::value all = parse_reply(text);
    show(all.as_array(), *flags, {"VOLUME NAME", "PROJECT", "CREATED", "USED BY"},
        [](const json::object& volume) {
            const auto age = std::chrono::duration_cast<std::chrono::seconds>(
                std::chrono::system_clock::now() - parse_time(text_of(volume, "created")));
            std::vector<std::string> users;
            for (const json::value& user : volume.at("containers").as_array())
                users.emplace_back(user.as_string());
            return std::vector<std::string>{text_of(volume, "name"), text_of(volume, "project"),
                human_duration(age) + " ago", fmt::format("{}", fmt::join(users, ", "))};
        });
}

/// KEY=VALUE of the command line.
json::object pairs_of(const std::vector<std::string>& texts) {
    json::object pairs;
    for (const std::string& each : texts) {
        const std::size_t equals = std::min(each.find('='), each.size());
        pairs[each.substr(0, equals)] = each.substr(std::min(equals + 1, each.size()));
    }
    return pairs;
}

engine::task<> create(context& with, std::shared_ptr<volumes_flags> flags) {
    const json::object body{{"name", flags->name}, {"driver_opts", pairs_of(flags->options)},
        {"labels", pairs_of(flags->labels)}};
    api::client daemon = with.daemon();
    api::request_body sent{.content_type = "application/json", .text = json::serialize(body)};
    co_await daemon.call("POST", "/api/v1/volumes", std::move(sent));
    fmt::print("{}\n", flags->name);
}

engine::task<> remove(context& with, std::shared_ptr<volumes_flags> flags) {
    co_await remove_each(with, "/api/v1/volumes", flags->names);
}

void add_looks(const command_line& command, const std::shared_ptr<volumes_flags>& flags) {
    command.add_flag("-q,--quiet", flags->quiet, "Only display volume names");
    command.add_option("--format", flags->format, "table, json (one object a line), or a Go template");
}

void add_volume(const command_line& app) {
    const command_line group =
        app.add_subcommand("volume", "Manage the volumes of this host, also those of no project");
    group.needs_subcommand();
    const auto flags = std::make_shared<volumes_flags>();
    const command_line make =
        group.add_subcommand("create", "Make a volume, for stacks that have it with external: true");
    make.add_option("-d,--driver", flags->driver, "its driver").one_of({"local"});
    make.add_option("-o,--opt,--driver-opt", flags->options, "KEY=VALUE; there are type, o and device")
        .one_each();
    make.add_option("-l,--label", flags->labels, "KEY=VALUE").one_each();
    make.add_option("NAME", flags->name, "what stacks call it by").required();
    make.runs([flags](context& with) { return create(with, flags); });
    const command_line show_all =
        group.add_subcommand("ls", "List the volumes of this host with the containers that have them");
    add_looks(show_all, flags);
    show_all.runs([flags](context& with) { return list(with, flags); });
    const command_line drop =
        group.add_subcommand("rm", "Remove volumes that no container has, with what is in them");
    drop.add_option("NAME", flags->names, "names").required();
    drop.runs([flags](context& with) { return remove(with, flags); });
}

} // namespace

void add_volumes(const command_line& app) {
    const auto flags = std::make_shared<volumes_flags>();
    const command_line command = app.add_subcommand("volumes", "List volumes");
    add_looks(command, flags);
    command.add_option("SERVICE", flags->services, "those that these services use; all when none is named");
    command.runs([flags](context& with) { return volumes(with, flags); });
    add_volume(app);
}

} // namespace compose::cli
