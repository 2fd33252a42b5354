#include "compose/cli/providers.hpp"

#include "compose/cli/terminal.hpp"
#include "compose/model/error.hpp"
#include "engine/system/piped_program.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <optional>

#include <unistd.h>

namespace compose::cli {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

using variable_map = std::map<std::string, std::string>;

std::string text_in(const variable_map& from, const std::string& name) {
    const auto found = from.find(name);
    return found == from.end() ? std::string() : found->second;
}

bool can_run(const fs::path& file) {
    return fs::is_regular_file(file) && ::access(file.c_str(), X_OK) == 0;
}

std::string in_path(const std::string& name, const variable_map& variables) {
    const std::string path = text_in(variables, "PATH");
    for (std::size_t begin = 0; begin < path.size();) {
        const std::size_t end = std::min(path.find(':', begin), path.size());
        const fs::path file = fs::path(path.substr(begin, end - begin)) / name;
        if (file.is_absolute() && can_run(file)) // not what lies about in the working directory
            return file;
        begin = end + 1;
    }
    return {};
}

/// A plugin of Docker's, or a program in PATH.
std::string program_of(const provider& of, const variable_map& variables) {
    if (of.type.empty() || of.type == "compose" || of.type.find('/') != std::string::npos)
        throw error(error_kind::invalid,
            fmt::format("service \"{}\": {:?} is no type of a provider; it names a program in PATH",
                of.service, of.type));
    const std::string plugin = "docker-" + of.type;
    for (const std::string& folder : {text_in(variables, "HOME") + "/.docker/cli-plugins",
             std::string("/usr/local/lib/docker/cli-plugins"),
             std::string("/usr/local/libexec/docker/cli-plugins"), std::string("/usr/lib/docker/cli-plugins"),
             std::string("/usr/libexec/docker/cli-plugins")})
        if (const fs::path file = fs::path(folder) / plugin; can_run(file))
            return file;
    for (const std::string& name : {plugin, of.type, "compose-" + of.type})
        if (std::string file = in_path(name, variables); !file.empty())
            return file;
    throw error(error_kind::not_found,
        fmt::format("service \"{}\": there is no program for its provider {:?}; put {} into PATH", of.service,
            of.type, plugin));
}

std::vector<std::string> environment_of(const variable_map& variables) {
    std::vector<std::string> all;
    for (const auto& [name, value] : variables)
        all.push_back(fmt::format("{}={}", name, value));
    return all;
}

/// What the program says of itself; an empty object where it does not.
json::object metadata_of(const std::string& program, const variable_map& variables) {
    std::string text;
    engine::piped_program run({program, "compose", "metadata"}, environment_of(variables));
    while (const auto line = run.next_line())
        text += *line + "\n";
    boost::system::error_code failure;
    const json::value parsed = json::parse(text, failure);
    return run.wait() != 0 || failure || !parsed.is_object() ? json::object() : parsed.as_object();
}

/// The names that it takes for the command; nothing where it does not say. Throws for one that is missing.
std::optional<std::set<std::string>> parameters_of(
    const json::object& metadata, std::string_view command, const provider& of) {
    const json::value* own = metadata.if_contains(command);
    const json::value* list =
        own == nullptr || !own->is_object() ? nullptr : own->as_object().if_contains("parameters");
    if (list == nullptr || !list->is_array())
        return std::nullopt;
    std::set<std::string> names;
    for (const json::value& each : list->as_array()) {
        if (!each.is_object())
            continue;
        const std::string name = text_of(each.as_object(), "name");
        names.insert(name);
        const json::value* required = each.as_object().if_contains("required");
        const bool given = std::any_of(
            of.options.begin(), of.options.end(), [&](const auto& option) { return option.first == name; });
        if (required != nullptr && required->is_bool() && required->as_bool() && !given)
            throw error(error_kind::invalid,
                fmt::format("service \"{}\": its provider \"{}\" needs the option \"{}\"", of.service,
                    of.type, name));
    }
    return names;
}

std::string first_line(const std::string& text) {
    return printable(text.substr(0, text.find('\n')));
}

struct provided {
    variable_map prefixed;
    variable_map raw;
};

void hear(const provider& of, const std::string& line, provided& into) {
    boost::system::error_code failure;
    const json::value parsed = json::parse(line, failure);
    if (failure || !parsed.is_object())
        throw error(
            error_kind::invalid, fmt::format("service \"{}\": its provider said what is no message: {:?}",
                                     of.service, line.substr(0, 200)));
    const std::string type = text_of(parsed.as_object(), "type");
    const std::string message = text_of(parsed.as_object(), "message");
    if (type == "error")
        throw error(
            error_kind::unavailable, fmt::format("service \"{}\": {}", of.service, first_line(message)));
    if (type == "info")
        fmt::print(stderr, " {}  {}\n", of.service, first_line(message));
    if (type == "info" || type == "debug")
        return;
    const std::size_t equals = message.find('=');
    if ((type != "setenv" && type != "rawsetenv") || equals == std::string::npos || equals == 0)
        throw error(
            error_kind::invalid, fmt::format("service \"{}\": its provider said what is no message: {:?}",
                                     of.service, line.substr(0, 200)));
    (type == "setenv" ? into.prefixed : into.raw)[message.substr(0, equals)] = message.substr(equals + 1);
}

/// What is told of a command: when it begins and when it has come about.
struct wording {
    std::string_view command;
    std::string_view begins;
    std::string_view done;
};

provided run(
    const std::string& project, const provider& of, const wording& what, const variable_map& variables) {
    const std::string_view command = what.command;
    const std::string program = program_of(of, variables);
    const json::object metadata = metadata_of(program, variables);
    if (command == "stop" && !metadata.contains("stop"))
        return {};
    const auto taken = parameters_of(metadata, command, of);
    std::vector<std::string> argv{program, "compose", "--project-name=" + project, std::string(command)};
    for (const auto& [key, values] : of.options)
        for (const std::string& value : values)
            if (!taken || taken->contains(key))
                argv.push_back(fmt::format("--{}={}", key, value));
    argv.push_back(of.service);
    fmt::print(stderr, " {}  {}\n", of.service, what.begins);
    engine::piped_program running(std::move(argv), environment_of(variables));
    provided said;
    while (const auto line = running.next_line())
        if (line->find_first_not_of(" \t\r") != std::string::npos)
            hear(of, *line, said);
    if (const int code = running.wait(); code != 0)
        throw error(error_kind::unavailable,
            fmt::format("service \"{}\": its provider \"{}\" failed to {} it: exit code {}", of.service,
                of.type, command, code));
    fmt::print(stderr, " {}  {}\n", of.service, what.done);
    return said;
}

void give(compose::project& to, const provider& of, const provided& said) {
    std::string prefix = of.service + "_";
    std::transform(prefix.begin(), prefix.end(), prefix.begin(),
        [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    for (const std::string& name : of.dependents) {
        const auto found = to.services.find(name);
        if (found == to.services.end())
            continue;
        auto& environment = found->second.environment;
        for (const auto& [key, value] : said.prefixed)
            environment[prefix + key] = value;
        for (const auto& [key, value] : said.raw) {
            if (const auto there = environment.find(key);
                there != environment.end() && there->second != value)
                fmt::print(stderr,
                    "warning: provider \"{}\" overrides environment variable \"{}\" in service \"{}\"\n",
                    of.service, printable(key), name);
            environment[key] = value;
        }
    }
}

} // namespace

void provide(project& to, const std::vector<provider>& providers, const variable_map& variables) {
    for (const provider& each : providers)
        give(to, each, run(to.name, each, {"up", "Creating", "Created"}, variables));
}

void end_provided(const std::string& project, const std::vector<provider>& providers,
    std::string_view command, const variable_map& variables) {
    const wording down{"down", "Removing", "Removed"};
    const wording stop{"stop", "Stopping", "Stopped"};
    for (auto each = providers.rbegin(); each != providers.rend(); ++each)
        run(project, *each, command == down.command ? down : stop, variables);
}

provided_services find_provided(context& with, std::vector<std::string>& services) {
    provided_services found;
    try {
        load_options options = with.files; // without the warnings, which are told where the files matter
        options.services = services;
        options.standard_input = [] { return std::string(); };
        loaded read = load(options);
        if (read.project.name != with.project_name())
            return found;
        found.providers = take_providers(read, services, false);
        found.variables = std::move(read.variables);
    } catch (const error&) {
        return found; // what the daemon knows can be ended all the same
    }
    const bool named = !services.empty();
    std::erase_if(services, [&](const std::string& name) {
        return std::any_of(found.providers.begin(), found.providers.end(),
            [&](const provider& each) { return each.service == name; });
    });
    found.only = named && services.empty();
    return found;
}

} // namespace compose::cli
