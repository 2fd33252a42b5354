#include "api/http/query.hpp"
#include "compose/cli/context.hpp"
#include "compose/cli/progress.hpp"
#include "compose/cli/table.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <set>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct image_flags {
    bool quiet = false;
    std::string format = "table";
    std::string input;
    std::vector<std::string> services;
};
using flags_ptr = std::shared_ptr<image_flags>;

engine::task<> load_archive(context& with, flags_ptr flags) {
    api::client daemon = with.daemon();
    api::request_body body{.content_type = "application/x-tar", .file = flags->input};
    const std::string text = co_await daemon.call("POST", "/api/v1/images/load", std::move(body));
    const json::value reply = parse_reply(text);
    for (const json::value& name : reply.at("loaded").as_array())
        fmt::print("Loaded image: {}\n", std::string_view(name.as_string()));
}

engine::task<> images(context& with, flags_ptr flags) {
    const std::string name = with.project_name();
    api::client daemon = with.daemon();
    const std::string container_text = co_await daemon.call("GET", "/api/v1/containers?project=" + name);
    const std::string image_text = co_await daemon.call("GET", "/api/v1/images");
    const json::value containers = parse_reply(container_text);
    const json::value all = parse_reply(image_text);
    std::vector<std::vector<std::string>> rows;
    std::set<std::string> ids;
    for (const json::value& each : containers.as_array()) {
        const json::object& container = each.as_object();
        const std::string id = text_of(container, "image_id");
        ids.insert(id.substr(7));
        std::string size;
        std::string platform;
        for (const json::value& picture : all.as_array())
            if (text_of(picture.as_object(), "id") == id) {
                size = human_bytes(picture.at("size").to_number<double>());
                platform = text_of(picture.as_object(), "platform");
            }
        const std::string reference = text_of(container, "image");
        const auto colon = reference.rfind(':');
        const bool tagged = colon != std::string::npos && reference.find('/', colon) == std::string::npos;
        rows.push_back({text_of(container, "name"), reference.substr(0, tagged ? colon : std::string::npos),
            tagged ? reference.substr(colon + 1) : "latest", platform, id.substr(7, 12), size});
    }
    if (flags->quiet)
        for (const std::string& id : ids)
            fmt::print("{}\n", id);
    else
        fmt::print(
            "{}", format_table({"CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE"}, rows));
}

engine::task<> pull_one(context& with, std::string reference, bool quiet) {
    api::client daemon = with.daemon();
    std::unique_ptr<api::client_stream> stream =
        co_await daemon.open("POST", "/api/v1/images/pull?reference=" + api::percent_encode(reference));
    if (!quiet)
        fmt::print(stderr, " Image {}  Pulling\n", reference);
    for (;;) {
        const std::optional<std::string> text = co_await stream->next_line();
        if (!text)
            throw error(error_kind::unavailable, "composed ended the connection");
        const json::value parsed = parse_reply(*text);
        const json::object& object = parsed.as_object();
        if (const json::value* failure = object.if_contains("error"))
            throw error(error_kind_from(text_of(failure->as_object(), "kind")),
                text_of(failure->as_object(), "message"));
        if (object.contains("done"))
            break;
    }
    if (!quiet)
        fmt::print(stderr, " Image {}  Pulled\n", reference);
}

engine::task<> pull(context& with, flags_ptr flags) {
    const project wanted = with.load_project(flags->services);
    std::set<std::string> references;
    for (const auto& [name, service] : wanted.services)
        if (flags->services.empty() ||
            std::find(flags->services.begin(), flags->services.end(), name) != flags->services.end())
            references.insert(service.image);
    for (const std::string& reference : references)
        co_await pull_one(with, reference, flags->quiet);
}

} // namespace

void add_images(CLI::App& app, action& chosen) {
    const auto load_flags = std::make_shared<image_flags>();
    CLI::App* load_command = app.add_subcommand("load", "Load images from a docker-archive or OCI archive");
    load_command->add_option("-i,--input,FILE", load_flags->input, "archive, as `docker save` writes it")
        ->required()
        ->check(CLI::ExistingFile);
    load_command->callback([load_flags, &chosen] {
        chosen = [load_flags](context& with) { return load_archive(with, load_flags); };
    });

    const auto list_flags = std::make_shared<image_flags>();
    CLI::App* list_command = app.add_subcommand("images", "List images used by the created containers");
    list_command->add_flag("-q,--quiet", list_flags->quiet, "Only display IDs");
    list_command->callback(
        [list_flags, &chosen] { chosen = [list_flags](context& with) { return images(with, list_flags); }; });

    const auto pull_flags = std::make_shared<image_flags>();
    CLI::App* pull_command = app.add_subcommand("pull", "Pull service images");
    pull_command->add_flag("-q,--quiet", pull_flags->quiet, "Pull without printing progress information");
    pull_command->add_option("SERVICE", pull_flags->services, "services; all when none is named");
    pull_command->callback(
        [pull_flags, &chosen] { chosen = [pull_flags](context& with) { return pull(with, pull_flags); }; });
}

} // namespace compose::cli
