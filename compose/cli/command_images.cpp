#include "compose/cli/context.hpp"
#include "compose/cli/table.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <set>

namespace compose::cli {

namespace json = boost::json;

namespace {

constexpr std::size_t short_id = 12;  // digits, as everywhere
constexpr std::size_t narrowest = 20; // of a column

struct image_flags {
    bool quiet = false;
    std::string format = "table";
    std::string input;
    std::vector<std::string> services;
};
using flags_ptr = std::shared_ptr<image_flags>;

engine::task<> load_archive(context& with, flags_ptr flags) {
    if (flags->input.empty())
        throw error(error_kind::invalid, "no archive is named: compose load -i FILE, or compose load FILE");
    api::client daemon = with.daemon();
    api::request_body body{.content_type = "application/x-tar", .file = flags->input};
    const std::string text = co_await daemon.call("POST", "/api/v1/images/load", std::move(body));
    const json::value reply = parse_reply(text);
    for (const json::value& name : reply.at("loaded").as_array())
        fmt::print("Loaded image: {}\n", std::string_view(name.as_string()));
}

struct image_row {
    std::string container;
    std::string repository;
    std::string tag;
    std::string platform;
    std::string id; // sha256:…
    double size = 0;
    std::string created;
};

image_row row_of(const json::object& container, const json::array& all) {
    const std::string reference = text_of(container, "image");
    const auto colon = reference.rfind(':');
    const bool tagged = colon != std::string::npos && reference.find('/', colon) == std::string::npos;
    image_row row{.container = text_of(container, "name"),
        .repository = reference.substr(0, tagged ? colon : std::string::npos),
        .tag = tagged ? reference.substr(colon + 1) : "latest",
        .platform = {},
        .id = text_of(container, "image_id")};
    for (const json::value& each : all)
        if (text_of(each.as_object(), "id") == row.id) {
            row.size = each.at("size").to_number<double>();
            row.platform = text_of(each.as_object(), "platform");
            row.created = text_of(each.as_object(), "created");
        }
    return row;
}

json::object json_of(const image_row& row) {
    return {{"ID", row.id}, {"ContainerName", row.container}, {"Repository", row.repository},
        {"Tag", row.tag}, {"Platform", row.platform}, {"Size", static_cast<std::uint64_t>(row.size)},
        {"Created", row.created}};
}

engine::task<> images(context& with, flags_ptr flags) {
    const std::string name = with.project_name();
    api::client daemon = with.daemon();
    const json::array containers = co_await list_containers(with, name, flags->services);
    const std::string image_text = co_await daemon.call("GET", "/api/v1/images");
    const json::value all = parse_reply(image_text);
    json::array rows_as_json;
    std::vector<std::vector<std::string>> rows;
    std::set<std::string> ids;
    for (const json::value& each : containers) {
        const image_row row = row_of(each.as_object(), all.as_array());
        const std::string hex = row.id.substr(row.id.find(':') + 1);
        ids.insert(hex);
        rows_as_json.push_back(json_of(row));
        rows.push_back({row.container, row.repository, row.tag, row.platform, hex.substr(0, short_id),
            human_bytes(row.size),
            human_duration(std::chrono::duration_cast<std::chrono::seconds>(
                std::chrono::system_clock::now() - parse_time(row.created))) +
                " ago"});
    }
    if (flags->quiet)
        for (const std::string& id : ids)
            fmt::print("{}\n", id);
    else if (flags->format == "json")
        fmt::print("{}\n", json::serialize(rows_as_json));
    else
        fmt::print(
            "{}", format_table({"CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED"},
                      rows, narrowest));
}

} // namespace

void add_images(const command_line& app) {
    const auto load_flags = std::make_shared<image_flags>();
    const command_line load_command =
        app.add_subcommand("load", "Load images from a docker-archive or OCI archive");
    load_command.add_option("-i,--input,FILE", load_flags->input, "archive, as `docker save` writes it")
        .existing_file();
    load_command.runs([load_flags](context& with) { return load_archive(with, load_flags); });

    const auto list_flags = std::make_shared<image_flags>();
    const command_line list_command =
        app.add_subcommand("images", "List images used by the created containers");
    list_command.add_flag("-q,--quiet", list_flags->quiet, "Only display IDs");
    list_command.add_option("--format", list_flags->format, "Format the output: table or json")
        .one_of({"table", "json"});
    list_command.add_option("SERVICE", list_flags->services, "services; all when none is named");
    list_command.runs([list_flags](context& with) { return images(with, list_flags); });
}

} // namespace compose::cli
