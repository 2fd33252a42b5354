#include "api/http/query.hpp"
#include "compose/cli/context.hpp"
#include "compose/cli/table.hpp"
#include "compose/encode/base64.hpp"
#include "compose/load/contents.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>

// `compose secret` and `compose configs`: what the engine keeps for stacks with `external: true`.
namespace compose::cli {

namespace json = boost::json;

namespace {

struct content_flags {
    std::string kind; // secret, config
    std::string name;
    std::string file;
    std::vector<std::string> labels;
    bool quiet = false;
    std::string format = "table";
    std::vector<std::string> names;

    std::string route() const { return fmt::format("/api/v1/{}s", kind); }
};

/// One byte more than fits tells that there are too many.
std::string read_input() {
    std::string bytes;
    for (auto at = std::istreambuf_iterator<char>(std::cin);
         at != std::istreambuf_iterator<char>() && bytes.size() <= most_content; ++at)
        bytes += *at;
    return bytes;
}

engine::task<> create(context& with, std::shared_ptr<content_flags> flags) {
    const std::string what = fmt::format("{} \"{}\"", flags->kind, flags->name);
    const std::string content =
        flags->file == "-" ? read_input() : read_content_file(what, flags->file, file_kinds::pipes_too);
    if (content.size() > most_content)
        throw error(error_kind::exhausted,
            fmt::format(
                "{}: \"{}\" has more than {} KiB, which is the most that fits; mount a volume instead", what,
                flags->file, most_content >> 10U));
    json::object labels;
    for (const std::string& each : flags->labels) {
        const std::size_t equals = std::min(each.find('='), each.size());
        labels[each.substr(0, equals)] = each.substr(std::min(equals + 1, each.size()));
    }
    const json::object body{
        {"name", flags->name}, {"content", to_base64(content)}, {"labels", std::move(labels)}};
    api::client daemon = with.daemon();
    api::request_body sent{.content_type = "application/json", .text = json::serialize(body)};
    co_await daemon.call("POST", flags->route(), std::move(sent));
    fmt::print("{}\n", flags->name);
}

engine::task<> list(context& with, std::shared_ptr<content_flags> flags) {
    api::client daemon = with.daemon();
    const std::string text = co_await daemon.call("GET", flags->route());
    if (flags->format == "json" && !flags->quiet) {
        fmt::print("{}\n", text);
        co_return;
    }
    const json::value all = parse_reply(text);
    std::vector<std::vector<std::string>> rows;
    for (const json::value& each : all.as_array()) {
        const json::object& one = each.as_object();
        const auto age = std::chrono::duration_cast<std::chrono::seconds>(
            std::chrono::system_clock::now() - parse_time(text_of(one, "created")));
        std::vector<std::string> users;
        for (const json::value& user : one.at("used_by").as_array())
            users.emplace_back(user.as_string());
        rows.push_back(
            {text_of(one, "name"), human_duration(age) + " ago", fmt::format("{}", fmt::join(users, ", "))});
        if (flags->quiet)
            fmt::print("{}\n", rows.back().front());
    }
    if (!flags->quiet)
        fmt::print("{}", format_table({"NAME", "CREATED", "USED BY"}, rows));
}

engine::task<> remove(context& with, std::shared_ptr<content_flags> flags) {
    co_await remove_each(with, flags->route(), flags->names);
}

using content_action = engine::task<> (*)(context&, std::shared_ptr<content_flags>);

/// A `create`, `ls` or `rm` below `group`.
command_line add_content_command(const command_line& group, const std::string& name, const std::string& help,
    const std::shared_ptr<content_flags>& flags, content_action run) {
    const command_line command = group.add_subcommand(name, help);
    command.runs([flags, run](context& with) { return run(with, flags); });
    return command;
}

void add_group(const command_line& app, const std::string& name, const std::string& kind) {
    const command_line group =
        app.add_subcommand(name, fmt::format("Manage the {}s that stacks have with external: true", kind));
    group.needs_subcommand();
    const auto flags = std::make_shared<content_flags>();
    flags->kind = kind;
    const command_line make = add_content_command(
        group, "create", fmt::format("Keep a {} in the engine, sealed", kind), flags, create);
    make.add_option("-l,--label", flags->labels, "KEY=VALUE").one_each();
    make.add_option("NAME", flags->name, "what stacks call it by").required();
    make.add_option("FILE", flags->file, "what is to be in it; - is the standard input").required();
    const command_line show = add_content_command(
        group, "ls", fmt::format("List {}s with the containers that use them", kind), flags, list);
    show.add_flag("-q,--quiet", flags->quiet, "Only display names");
    show.add_option("--format", flags->format, "table or json").one_of({"table", "json"});
    const command_line drop = add_content_command(
        group, "rm", fmt::format("Remove {}s that no container uses", kind), flags, remove);
    drop.add_option("NAME", flags->names, "names").required();
}

} // namespace

void add_secret(const command_line& app) {
    add_group(app, "secret", "secret");
    add_group(app, "configs", "config"); // `config` shows the project's files
}

} // namespace compose::cli
