#include "api/http/query.hpp"
#include "compose/cli/context.hpp"
#include "compose/cli/table.hpp"
#include "compose/encode/encode.hpp"
#include "compose/load/interpolate.hpp"
#include "compose/load/render.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

namespace compose::cli {

namespace {

struct config_flags {
    std::string format = "yaml";
    std::string output;
    std::string hash;
    bool quiet = false;
    bool services = false;
    bool volumes = false;
    bool networks = false;
    bool images = false;
    bool profiles = false;
    bool models = false;
    bool environment = false;
    bool variables = false;
    bool resolve_digests = false;
    bool lock_digests = false;
    load_steps steps;
    bool no_env_resolution = false; // what it would leave out is not printed by Docker Compose either
    std::vector<std::string> only;
};

std::vector<std::string> split_list(const std::string& text) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, ',');)
        parts.push_back(part);
    return parts;
}

void add_after_dependencies(
    const project& of, const std::string& name, std::set<std::string>& seen, std::string& text) {
    const auto found = of.services.find(name);
    if (found == of.services.end() || !seen.insert(name).second)
        return;
    for (const auto& [dependency, how] : found->second.depends_on)
        add_after_dependencies(of, dependency, seen, text);
    text += name + "\n";
}

/// What others depend on comes before them.
std::string print_services(const project& of) {
    std::set<std::string> seen;
    std::string text;
    for (const auto& [name, service] : of.services)
        add_after_dependencies(of, name, seen, text);
    return text;
}

/// Its own, and those of its steps of pre_start that have another.
std::string print_images(const project& in, const service& of) {
    std::set<std::string> told{of.image};
    std::string text = (of.image.empty() ? fmt::format("{}-{}", in.name, of.name) : of.image) + "\n";
    for (const preparation& each : of.pre_start)
        if (told.insert(each.image).second)
            text += each.image + "\n";
    return text;
}

std::string print_variables(const node& tree, bool as_json) {
    std::vector<std::vector<std::string>> rows;
    boost::json::object object;
    for (const used_variable& each : variables_in(tree)) {
        rows.push_back({each.name, each.required ? "true" : "false", each.default_value, each.alternative});
        object[each.name] = {{"Name", each.name}, {"DefaultValue", each.default_value},
            {"PresenceValue", each.alternative}, {"Required", each.required}};
    }
    return as_json ? boost::json::serialize(object) + "\n"
                   : format_table({"NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"}, rows, 20);
}

std::string print(const loaded& read, const config_flags& flags, bool all_resources) {
    const project& shown = read.project;
    std::string text;
    const auto keys = [&](const auto& map) {
        for (const auto& [key, value] : map)
            text += key + "\n";
    };
    if (flags.variables)
        text = print_variables(*read.tree, flags.format == "json");
    else if (flags.services)
        text = print_services(shown);
    else if (flags.volumes)
        keys(shown.volumes);
    else if (flags.networks)
        keys(shown.networks);
    else if (flags.images) {
        const node part = part_of(*read.tree, flags.only, all_resources);
        const node* services = part.find("services");
        for (const auto& [name, service] : shown.services)
            if (services != nullptr && services->find(name) != nullptr)
                text += print_images(shown, service);
    } else if (flags.profiles) {
        std::set<std::string> all;
        for (const auto* services : {&shown.services, &shown.disabled_services})
            for (const auto& [name, service] : *services)
                all.insert(service.profiles.begin(), service.profiles.end());
        for (const std::string& each : all)
            text += each + "\n";
    } else if (!flags.hash.empty()) {
        std::vector<std::string> wanted = split_list(flags.hash);
        if (flags.hash == "*") {
            wanted.clear();
            for (const auto& [name, service] : shown.services)
                wanted.push_back(name);
        }
        check_services(shown, wanted);
        for (const std::string& name : wanted)
            if (const auto found = shown.services.find(name); found != shown.services.end())
                text += fmt::format("{} {}\n", name, service_hash(found->second));
    } else if (flags.models) {
        if (const node* models = read.tree->find("models"))
            for (const auto& [name, model] : models->entries)
                text += model.text_at("model") + "\n";
    } else if (flags.environment) {
        for (const auto& [name, value] : read.variables)
            text += fmt::format("{}={}\n", name, value);
    } else {
        const node part = part_of(*read.tree, flags.only, all_resources);
        const bool json = flags.format == "json";
        if (flags.steps.interpolate)
            text = json ? to_json(part) : to_yaml(part);
        else
            text = json ? to_raw_json(part) : to_raw_yaml(part);
    }
    return text;
}

/// For programs: [{"file", "line", "column", "path", "message"}], without what is not known of the place.
std::string print_errors(const std::vector<diagnostic>& wrong) {
    boost::json::array list;
    for (const diagnostic& each : wrong) {
        boost::json::object told;
        if (each.at.file)
            told["file"] = *each.at.file;
        if (each.at.line > 0) {
            told["line"] = each.at.line;
            told["column"] = each.at.column;
        }
        told["path"] = each.path;
        told["message"] = each.message;
        list.push_back(std::move(told));
    }
    return boost::json::serialize(list) + "\n";
}

/// The files with each image by the digest that its registry has for it now; only that when it is to lock
/// them, as an override for the files.
engine::task<> pin_images(context& with, loaded& read, bool only_images) {
    node pinned = *read.tree;
    node* services = pinned.find("services");
    api::client daemon = with.daemon();
    for (auto& [name, service] : services->entries) {
        node* const image = service.find("image");
        if (image == nullptr || image->text.empty())
            continue;
        api::target target("/api/v1/images/resolve");
        target.with("reference", image->text);
        const std::string reply = co_await daemon.call("GET", target.text());
        image->text = text_of(parse_reply(reply).as_object(), "reference");
        read.project.services.at(name).image = image->text;
        if (only_images)
            std::erase_if(service.entries, [](const auto& entry) { return entry.first != "image"; });
    }
    if (only_images)
        std::erase_if(pinned.entries, [](const auto& entry) { return entry.first != "services"; });
    read.tree = std::make_shared<const node>(std::move(pinned));
}

engine::task<> config(context& with, std::shared_ptr<config_flags> flags) {
    if (flags->variables) // as they are written, in names too
        flags->steps = {.interpolate = false, .normalise = false};
    with.files.steps = flags->steps;
    with.files.steps.environment =
        !(flags->services || flags->volumes || flags->networks || flags->images || flags->profiles);
    std::optional<loaded> read;
    std::string wrong;
    try {
        read = with.load_files(flags->only);
        check_services(read->project, flags->only);
    } catch (const load_error& failure) {
        if (flags->format != "json")
            throw;
        wrong = print_errors(failure.diagnostics());
    } catch (const error& failure) { // of what is no file's fault: the command line, a name
        if (flags->format != "json")
            throw;
        wrong = print_errors({diagnostic{.at = {}, .path = {}, .message = failure.what()}});
    }
    if (!wrong.empty()) {
        fmt::print(stderr, "{}", wrong);
        with.exit_code = 1;
        co_return;
    }
    if (flags->quiet)
        co_return;
    if (flags->resolve_digests || flags->lock_digests)
        co_await pin_images(with, *read, flags->lock_digests);
    const std::string text = print(*read, *flags, with.files.all_resources);
    if (flags->output.empty()) {
        std::fwrite(text.data(), 1, text.size(), stdout);
        co_return;
    }
    std::ofstream file(flags->output);
    file << text;
    if (!file.flush())
        throw error(error_kind::invalid, fmt::format("write \"{}\": it cannot be written", flags->output));
}

} // namespace

void add_config(const command_line& app) {
    const auto flags = std::make_shared<config_flags>();
    const command_line command =
        app.add_subcommand("config", "Parse, resolve and render compose file in canonical format");
    command.alias("convert");
    command.add_option("--format", flags->format, "yaml or json").one_of({"yaml", "json"});
    command.add_option("-o,--output", flags->output, "Save to file (default to stdout)");
    command.add_option("--hash", flags->hash, "Print the service config hash, one per line; * for all");
    command.add_flag("-q,--quiet", flags->quiet, "Only validate the configuration, don't print anything");
    command.add_flag("--services", flags->services, "Print the service names, one per line");
    command.add_flag("--volumes", flags->volumes, "Print the volume names, one per line");
    command.add_flag("--networks", flags->networks, "Print the network names, one per line");
    command.add_flag("--images", flags->images, "Print the image names, one per line");
    command.add_flag("--profiles", flags->profiles, "Print the profile names, one per line");
    command.add_flag("--models", flags->models, "Print the model names, one per line");
    command.add_flag("--environment", flags->environment, "Print environment used for interpolation");
    command.add_flag("--variables", flags->variables, "Print model variables and default values");
    command.add_flag(
        "!--no-interpolate", flags->steps.interpolate, "Don't interpolate environment variables");
    command.add_flag("!--no-normalize", flags->steps.normalise, "Don't normalize compose model");
    command.add_flag("!--no-path-resolution", flags->steps.paths, "Don't resolve file paths");
    command.add_flag("!--no-consistency", flags->steps.consistency,
        "Don't check model consistency - warning: may produce invalid Compose output");
    command.add_flag("--resolve-image-digests", flags->resolve_digests, "Pin image tags to digests");
    command.add_flag(
        "--lock-image-digests", flags->lock_digests, "Produces an override file with image digests");
    command.add_flag("--no-env-resolution", flags->no_env_resolution,
        "Don't resolve service env files (they are all the same)");
    command.add_option(
        "SERVICE", flags->only, "services to show, with what they depend on; their profiles are on");
    command.runs([flags](context& with) { return config(with, flags); });
}

} // namespace compose::cli
