#include "api/http/query.hpp"
#include "compose/cli/context.hpp"
#include "compose/model/error.hpp"
#include "engine/system/file.hpp"
#include "engine/system/tar_copy.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace compose::cli {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

struct cp_flags {
    bool archive = false;
    bool follow = false;
    bool all = false;
    int index = 0;
    std::string from;
    std::string to;
};

/// SERVICE:PATH, or a path of here.
struct place {
    std::string service;
    std::string path;
};

place place_of(const std::string& text) {
    const auto colon = text.find(':');
    if (colon == std::string::npos || colon == 0 || text.starts_with('/') || text.starts_with('.'))
        return {.service = {}, .path = text};
    return {.service = text.substr(0, colon), .path = text.substr(colon + 1)};
}

/// What is in the folder itself: "folder/."; gives the path without that.
bool take_contents(std::string& path) {
    const bool contents = path == "." || path.ends_with("/.");
    if (contents)
        path = path == "." ? "./" : path.substr(0, path.size() - 1);
    return contents;
}

fs::path absolute(const std::string& path, const context& with) {
    return (with.files.working_directory / path).lexically_normal();
}

/// A file without a name, to hold an archive on its way.
engine::unique_fd passing_file() {
    return engine::open_file(fs::temp_directory_path(), O_RDWR | O_TMPFILE, 0600);
}

fs::path path_of(const engine::unique_fd& file) {
    return fmt::format("/proc/self/fd/{}", file.get());
}

engine::task<std::vector<json::object>> containers_of(
    context& with, std::string project, std::string service, const cp_flags& flags, bool several) {
    api::client daemon = with.daemon();
    const std::string text = co_await daemon.call("GET", containers_target(project));
    const json::value all = parse_reply(text);
    std::vector<json::object> found;
    for (const json::value& each : all.as_array()) {
        const json::object& container = each.as_object();
        const bool one_off = container.at("one_off").as_bool();
        if (text_of(container, "service") != service || (one_off && !flags.all))
            continue;
        if (flags.index == 0 || (!one_off && container.at("number").to_number<int>() == flags.index))
            found.push_back(container);
    }
    if (found.empty() && flags.index > 0)
        throw error(
            error_kind::not_found, fmt::format("service \"{}\" has no container #{}", service, flags.index));
    if (found.empty())
        throw error(error_kind::not_found, fmt::format("no container found for service \"{}\"", service));
    if (!several)
        found.resize(1);
    co_return found;
}

/// As JSON has it: "run/agent.sock: a socket".
void warn_of(const json::array& left_out) {
    for (const json::value& each : left_out)
        fmt::print(stderr, "warning: left out: {}\n", std::string_view(each.as_string()));
}

void warn_of(const engine::left_out& what) {
    warn_of(json::value_from(what.told()).as_array());
}

api::target archive_target(const json::object& container, const std::string& path) {
    api::target target(fmt::format("/api/v1/containers/{}/archive", text_of(container, "id")));
    target.with("path", path);
    return target;
}

engine::task<> copy_in(context& with, std::string project, std::shared_ptr<cp_flags> flags, place to) {
    const std::vector<json::object> targets = co_await containers_of(with, project, to.service, *flags, true);
    bool unpack = false;
    bool contents = false;
    engine::unique_fd file = passing_file();
    if (flags->from == "-") {
        std::string part(64U << 10U, '\0');
        for (ssize_t got = 0; (got = ::read(STDIN_FILENO, part.data(), part.size())) > 0;)
            engine::write_to(file, std::string_view(part).substr(0, static_cast<std::size_t>(got)), "-");
        unpack = true;
    } else {
        std::string from = flags->from;
        contents = take_contents(from);
        fs::path path = absolute(from, with);
        const bool slash = path.native().size() > 1 && path.native().ends_with('/');
        const fs::path plain = slash ? path.parent_path() : path;
        warn_of(engine::pack_tree("/", path, flags->follow, plain.filename(), file));
    }
    for (const json::object& each : targets) {
        const std::string name = text_of(each, "name");
        api::request_body body{.content_type = "application/x-tar", .file = path_of(file)};
        api::client daemon = with.daemon();
        api::target target = archive_target(each, to.path);
        target.with("owners", flags->archive).with("unpack", unpack).with("contents", contents);
        const std::string text = co_await daemon.call("PUT", target.text(), std::move(body));
        const json::value reply = parse_reply(text);
        if (const json::value* skipped = reply.as_object().if_contains("left_out"))
            warn_of(skipped->as_array());
        fmt::print(stderr, " {} copy {} to {}:{}  Copied\n", name, flags->from, name, to.path);
    }
}

engine::task<> copy_out(context& with, std::string project, std::shared_ptr<cp_flags> flags, place from) {
    const std::vector<json::object> sources =
        co_await containers_of(with, project, from.service, *flags, false);
    const std::string name = text_of(sources.front(), "name");
    const std::string given = from.path;
    const bool contents = take_contents(from.path);
    api::client daemon = with.daemon();
    api::target target = archive_target(sources.front(), from.path);
    target.with("follow_link", flags->follow);
    const std::unique_ptr<api::client_stream> stream = co_await daemon.open("GET", target.text());
    const bool to_stdout = flags->to == "-";
    const engine::unique_fd file = to_stdout ? engine::unique_fd(::dup(STDOUT_FILENO)) : passing_file();
    for (;;) {
        const std::string part = co_await stream->next_part();
        if (part.empty())
            break;
        engine::write_to(file, part, flags->to);
    }
    if (const std::string skipped = stream->trailer("Composed-Left-Out"); !skipped.empty())
        warn_of(parse_reply(skipped).as_array());
    if (to_stdout)
        co_return;
    ::lseek(file.get(), 0, SEEK_SET);
    std::string to = absolute(flags->to, with);
    if (flags->to.ends_with('/') && !to.ends_with('/'))
        to += '/';
    engine::unpack_options how{.contents = contents,
        .owners = flags->archive,
        .privileges = flags->archive,
        .user = ::geteuid(),
        .group = ::getegid()};
    warn_of(engine::unpack_tree("/", to, file, how));
    fmt::print(stderr, " {} copy {}:{} to {}  Copied\n", name, name, given, flags->to);
}

engine::task<> cp(context& with, std::shared_ptr<cp_flags> flags) {
    const place from = place_of(flags->from);
    const place to = place_of(flags->to);
    if (!from.service.empty() && !to.service.empty())
        throw error(error_kind::invalid, "copying between services is not supported");
    if (from.service.empty() && to.service.empty())
        throw error(error_kind::invalid, "unknown copy direction: one of the two is SERVICE:PATH");
    std::string project = with.project_name();
    if (from.service.empty())
        co_await copy_in(with, std::move(project), flags, to);
    else
        co_await copy_out(with, std::move(project), flags, from);
}

} // namespace

void add_cp(const command_line& app) {
    const auto flags = std::make_shared<cp_flags>();
    const command_line command =
        app.add_subcommand("cp", "Copy files/folders between a service container and the local filesystem");
    command.add_flag("-a,--archive", flags->archive, "Archive mode (copy all uid/gid information)");
    command.add_flag("-L,--follow-link", flags->follow, "Always follow symbol link in SRC_PATH");
    command.add_flag("--all", flags->all, "Include containers created by the run command");
    command.add_option("--index", flags->index, "Index of the container if service has multiple replicas");
    command.add_option("SRC", flags->from, "SERVICE:PATH, a path of here, or - for a tar archive").required();
    command.add_option("DEST", flags->to, "the other of the two").required();
    command.runs([flags](context& with) { return cp(with, flags); });
}

} // namespace compose::cli
