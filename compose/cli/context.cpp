#include "compose/cli/context.hpp"

#include "api/http/query.hpp"
#include "compose/model/error.hpp"

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
    options.standard_input = [] { return std::string(std::istreambuf_iterator<char>(std::cin), {}); };
    loaded read = load(options);
    for (const std::string& warning : read.warnings)
        fmt::print(stderr, "warning: {}\n", warning);
    return read;
}

std::string context::project_name() {
    if (const auto name = project_name_without_file(files))
        return *name;
    return load_project().name;
}

std::string services_query(const std::vector<std::string>& services) {
    if (services.empty())
        return {};
    return "services=" + api::percent_encode(fmt::format("{}", fmt::join(services, ",")));
}

void check_services(const project& of, const std::vector<std::string>& services) {
    for (const std::string& name : services)
        if (!of.services.contains(name))
            throw error(error_kind::not_found, fmt::format("no such service: {}", name));
}

std::string containers_target(const std::string& project, const std::vector<std::string>& services) {
    std::string target = "/api/v1/containers?project=" + project;
    if (!services.empty())
        target += "&" + services_query(services);
    return target;
}

std::string whole_seconds(std::string& text) {
    const bool number =
        !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
    return number ? std::string() : fmt::format("\"{}\" is no number of seconds", text);
}

CLI::Option* add_timeout(CLI::App& command, std::optional<int>& into) {
    constexpr int without_end = 10 * 365 * 24 * 3600;
    return command
        .add_option("-t,--timeout", into, "Specify a shutdown timeout in seconds; -1 waits without end")
        ->transform(CLI::Validator(
            [](std::string& text) {
                if (text == "-1")
                    text = std::to_string(without_end);
                return whole_seconds(text);
            },
            ""));
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

} // namespace compose::cli
