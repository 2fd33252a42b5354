#include "compose/cli/context.hpp"

#include "compose/cli/providers.hpp"
#include "compose/encode/encode.hpp"
#include "compose/load/contents.hpp"
#include "compose/model/error.hpp"
#include "compose/model/nearest.hpp"

#include <CLI/CLI.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <iostream>
#include <iterator>

namespace compose::cli {

api::client context::daemon() {
    return api::client(io, host);
}

project context::load_project(const std::vector<std::string>& services) {
    return load_files(services).project;
}

loaded context::load_files(const std::vector<std::string>& services) {
    load_options options = files;
    options.services = services;
    options.standard_input = [this] {
        if (!standard_input_)
            standard_input_ = std::string(std::istreambuf_iterator<char>(std::cin), {});
        return *standard_input_;
    };
    loaded read = load(options);
    for (const std::string& warning : read.warnings)
        if (warned_.insert(warning).second)
            fmt::print(stderr, "warning: {}\n", warning);
    return read;
}

engine::task<project> context::load_or_known(std::vector<std::string> services, bool dependencies) {
    try {
        loaded read = load_files(services);
        const std::vector<provider> providers = take_providers(read, services, dependencies);
        provide(read.project, providers, read.variables);
        read_contents(read.project, read.variables, chosen_services(read.project, services, dependencies));
        co_return std::move(read.project);
    } catch (const error& failure) {
        if (failure.kind() != error_kind::not_found || !project_name_without_file(files) ||
            !files.files.empty())
            throw;
    }
    const api::target target = project_target(*project_name_without_file(files));
    const std::string text = co_await daemon().call("GET", target.text());
    const boost::json::value reply = parse_reply(text);
    co_return from_wire(boost::json::serialize(reply.at("definition")));
}

std::string context::project_name() {
    if (const auto name = project_name_without_file(files))
        return *name;
    return load_project().name;
}

api::target project_target(const std::string& project, const std::string& below) {
    return api::target(fmt::format("/api/v1/projects/{}{}", api::percent_encode(project), below));
}

void add_services(api::target& to, const std::vector<std::string>& services) {
    for (const std::string& name : services)
        if (name.empty())
            throw error(error_kind::not_found, "no such service: the name is empty");
    if (!services.empty())
        to.with("services", fmt::format("{}", fmt::join(services, ",")));
}

void check_services(const project& of, const std::vector<std::string>& services) {
    std::vector<std::string_view> known;
    for (const auto& [name, service] : of.services)
        known.emplace_back(name);
    for (const std::string& name : services)
        if (!of.services.contains(name))
            throw error(
                error_kind::not_found, fmt::format("no such service: {}{}", name, did_you_mean(name, known)));
}

std::string containers_target(const std::string& project, const std::vector<std::string>& services) {
    api::target target("/api/v1/containers");
    target.with("project", project);
    add_services(target, services);
    return target.text();
}

namespace {

/// Where there are no files, there is nothing to compare them with.
void check_declared(context& with, const std::vector<std::string>& services) {
    if (services.empty())
        return;
    std::optional<project> declared;
    try {
        declared = with.load_project();
    } catch (const error& failure) {
        if (failure.kind() != error_kind::not_found)
            throw;
        return;
    }
    declared->services.merge(declared->disabled_services);
    check_services(*declared, services);
}

} // namespace

engine::task<bool> was_not_brought_up(context& with, std::string project, std::vector<std::string> services) {
    api::client daemon = with.daemon();
    const api::target target = project_target(project);
    try {
        co_await daemon.call("GET", target.text());
        co_return false;
    } catch (const error& failure) {
        if (failure.kind() != error_kind::not_found)
            throw;
    }
    check_declared(with, services);
    co_return true;
}

engine::task<boost::json::array> list_containers(
    context& with, std::string project, std::vector<std::string> services) {
    api::client daemon = with.daemon();
    const std::string text = co_await daemon.call("GET", containers_target(project, services));
    boost::json::value all = parse_reply(text);
    if (all.as_array().empty())
        co_await was_not_brought_up(with, project, services);
    co_return std::move(all.as_array());
}

engine::task<boost::json::object> find_container(
    context& with, std::string project, std::string service, int index) {
    std::vector<std::string> of_all;
    const boost::json::array all = co_await list_containers(with, project, std::move(of_all));
    bool known = false;
    for (const boost::json::value& each : all) {
        const boost::json::object& container = each.as_object();
        if (text_of(container, "service") != service || container.at("one_off").as_bool())
            continue;
        known = true;
        const std::string state = text_of(container, "state");
        if ((index == 0 || container.at("number").to_number<int>() == index) &&
            (state == "running" || state == "paused"))
            co_return container;
    }
    if (known && index > 0)
        throw error(
            error_kind::conflict, fmt::format("service \"{}\" is not running container #{}", service, index));
    if (known)
        throw error(error_kind::conflict, fmt::format("service \"{}\" is not running", service));
    check_declared(with, {service});
    throw error(error_kind::not_found,
        fmt::format("service \"{}\" is not running; start it with: compose up -d {}", service, service));
}

void add_build_flags(const command_line& command, bool& build) {
    static bool quiet = false;
    command.add_flag("--build", build, "Build images before starting containers; composed does not yet");
    command.add_flag("--quiet-build", quiet, "Suppress the build output; there is none").hidden();
}

void warn_of_build(bool build) {
    if (build)
        fmt::print(stderr, "warning: --build has no effect: composed does not build images yet\n");
}

option add_pull_option(const command_line& command, std::string& into) {
    return command.add_option("--pull", into, "Pull image before running (\"always\"|\"missing\"|\"never\")")
        .one_of({"always", "missing", "never"});
}

std::string whole_seconds(std::string& text) {
    const bool number =
        !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
    return number ? std::string() : fmt::format("\"{}\" is no number of seconds", text);
}

option add_timeout(const command_line& command, std::optional<int>& into) {
    constexpr int without_end = 10 * 365 * 24 * 3600;
    return command
        .add_option("-t,--timeout", into, "Specify a shutdown timeout in seconds; -1 waits without end")
        .check([](std::string& text) {
            if (text == "-1")
                text = std::to_string(without_end);
            return whole_seconds(text);
        });
}

boost::json::value parse_reply(const std::string& text) {
    boost::system::error_code broken;
    boost::json::value value = boost::json::parse(text, broken);
    if (broken)
        throw error(error_kind::internal,
            fmt::format("composed answered with what is no JSON: {}", text.substr(0, 200)));
    return value;
}

std::string text_of(const boost::json::object& object, std::string_view key) {
    const boost::json::value* value = object.if_contains(key);
    return value == nullptr || !value->is_string() ? std::string() : std::string(value->as_string());
}

engine::task<> remove_each(context& with, std::string route, std::vector<std::string> names) {
    std::string problems;
    for (const std::string& name : names) {
        api::client daemon = with.daemon();
        const std::string target = fmt::format("{}/{}", route, api::percent_encode(name));
        try {
            co_await daemon.call("DELETE", target);
            fmt::print("{}\n", name);
        } catch (const error& failure) {
            problems += fmt::format("{}{}", problems.empty() ? "" : "\n", failure.what());
        }
    }
    if (!problems.empty())
        throw error(error_kind::conflict, problems);
}

} // namespace compose::cli
