#include "compose/load/loader.hpp"

#include "compose/load/check.hpp"
#include "compose/load/decode.hpp"
#include "compose/load/environment.hpp"
#include "compose/load/fill.hpp"
#include "compose/load/interpolate.hpp"
#include "compose/load/places.hpp"
#include "compose/load/project_files.hpp"
#include "compose/load/providers.hpp"
#include "compose/load/scalar.hpp"
#include "compose/load/schema.hpp"
#include "compose/load/tree_checks.hpp"
#include "compose/load/tree_reader.hpp"
#include "compose/load/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace compose {

namespace fs = std::filesystem;

namespace {

void fail_if(std::vector<diagnostic> wrong) {
    if (!wrong.empty())
        throw load_error(std::move(wrong));
}

/// `name:` of the last document that has one that can be told, variables filled in.
std::string name_in(
    const std::vector<source_file>& files, const variable_lookup& lookup, std::vector<diagnostic>& wrong) {
    std::string name;
    std::vector<std::string> unset;
    const auto take = [&](const node& found) {
        try {
            std::string own = interpolate(found.text, lookup, unset);
            if (!own.empty() && normalise_project_name(own).empty())
                throw error(error_kind::invalid,
                    fmt::format("\"{}\" has no letter or digit; a project's name begins with one", own));
            if (!own.empty())
                name = std::move(own);
        } catch (const error& failure) {
            wrong.push_back({.at = found.at, .path = "name", .message = failure.what()});
        }
    };
    for (const source_file& file : files)
        for (const node& document : file.documents)
            if (const node* found = document.find("name"); found != nullptr && found->is_scalar())
                take(*found);
    return name;
}

std::string choose_name(const load_options& options, const project_files& files, const std::string& in_file) {
    if (const auto given = project_name_without_file(options))
        return *given;
    if (const auto found = files.variables.find("COMPOSE_PROJECT_NAME");
        found != files.variables.end() && !found->second.empty()) {
        check_project_name(found->second);
        return found->second;
    }
    std::string name = normalise_project_name(in_file);
    if (name.empty())
        name = normalise_project_name(files.directory.filename().native());
    if (name.empty())
        throw error(error_kind::invalid,
            fmt::format("project name must not be empty: the folder {} has no ASCII letter or digit in its "
                        "name; set name: in the file, or -p NAME",
                files.directory.native()));
    return name;
}

std::set<std::string> active_profiles(const load_options& options, const project_files& files) {
    std::set<std::string> active(options.profiles.begin(), options.profiles.end());
    const auto found = files.variables.find("COMPOSE_PROFILES");
    if (!active.empty() || found == files.variables.end())
        return active;
    for (const std::string& each : split_names(found->second, ",")) {
        const std::size_t begin = std::min(each.find_first_not_of(' '), each.size());
        active.insert(each.substr(begin, each.find_last_not_of(' ') + 1 - begin));
    }
    return active;
}

} // namespace

namespace {

struct load_input {
    std::vector<source_file> files;
    surroundings around;
    bool own_files = true; // they may name others of this host
    std::set<std::string> profiles;
    std::set<std::string> services; // named: on by that
    load_steps steps;
    bool all_resources = false;
    std::vector<std::string> warnings = {}; // of what was read already
};

/// Names and images: what can be told while variables are not filled in.
project outline_of(const node& tree, const std::string& name) {
    project made;
    made.name = name;
    if (const node* services = tree.find("services"))
        for (const auto& [key, from] : services->entries) {
            service& each = made.services[key];
            each.name = key;
            if (const node* image = from.find("image"))
                each.image = image->text;
        }
    return made;
}

/// From texts to a project; `name_of` chooses the name, given the one in the files.
loaded load_project(load_input from, const std::function<std::string(const std::string&)>& name_of) {
    loaded result;
    result.warnings = std::move(from.warnings);
    std::vector<diagnostic> wrong;
    const std::string in_file = name_in(from.files, lookup_in(from.around.variables), wrong);
    const std::string name = name_of(in_file);
    from.around.variables["COMPOSE_PROJECT_NAME"] = name;
    const variable_lookup lookup = lookup_in(from.around.variables);
    const std::string first = from.files.empty() ? std::string("(nothing)") : from.files.front().name;
    const read_options how{
        .own_files = from.own_files, .interpolate = from.steps.interpolate, .paths = from.steps.paths};
    std::vector<diagnostic> told;
    node tree = tree_reader(how, result.warnings).read(std::move(from.files), from.around, told);
    if (tree.entries.empty()) {
        fail_if(without_consequences(std::move(told), std::move(wrong)));
        throw_load_error({.file = std::make_shared<const std::string>(first), .line = 1, .column = 1}, {},
            "empty compose file");
    }
    if (tree.find("version") != nullptr)
        result.warnings.emplace_back("the attribute `version` is obsolete, it will be ignored, please remove "
                                     "it to avoid potential confusion");

    require_members(tree, project_schema, {}, wrong);
    check_tree(tree, wrong);
    name_as_written(tree, wrong);
    told = without_consequences(std::move(told), std::exchange(wrong, {}));
    if (!from.steps.interpolate)
        fail_if(told);
    std::erase_if(tree.entries, [](const auto& entry) { return entry.first == "version"; });
    const fs::path directory = from.around.place.directory;
    if (!from.steps.paths)
        from.around.place.directory.clear();
    fill_defaults(tree, from.around.place);
    if (from.steps.normalise)
        fill(tree, name);
    else if (from.steps.interpolate && // else it is as it is written
             (normalise_project_name(in_file) != name || tree.text_at("name").empty()))
        set_name(tree, name);
    if (!from.steps.interpolate) {
        if (from.steps.normalise)
            drop_passed_arguments(tree);
        result.project = outline_of(tree, name);
        result.tree = std::make_shared<const node>(std::move(tree));
        return result;
    }
    write_whole(tree);
    if (from.steps.consistency)
        copy_scale(tree);
    const node disabled = take_disabled(tree, from.profiles, from.services);
    std::vector<std::string> unset;
    resolve_environment(tree, directory, lookup, from.steps.environment, unset, wrong);
    warn_of_unset(unset, result.warnings);
    if (from.steps.normalise)
        pass_arguments(tree, lookup);
    const project made = decode(tree, disabled, result.ignored);
    if (from.steps.consistency) {
        check_references(tree, wrong);
        check_consistency(made, places_in(tree), wrong);
        name_as_written(tree, wrong);
    }
    fail_if(without_consequences(std::move(told), std::move(wrong)));
    if (!from.all_resources)
        prune(tree);
    result.ignored.clear();
    result.project = decode(tree, disabled, result.ignored);
    result.project.name = name; // which is as it is written in what is not normalised
    result.tree = std::make_shared<const node>(std::move(tree));
    return result;
}

} // namespace

loaded load(const load_options& options) {
    const project_files files = find_project_files(options);
    load_input from{.files = {},
        .around = {.place = {.directory = files.directory, .home = "/"}, .variables = files.variables},
        .profiles = active_profiles(options, files),
        .services = std::set<std::string>(options.services.begin(), options.services.end()),
        .steps = options.steps,
        .all_resources = options.all_resources,
        .warnings = files.warnings};
    if (const auto home = files.variables.find("HOME"); home != files.variables.end())
        from.around.place.home = home->second;
    for (const fs::path& file : files.files) {
        const bool piped = file == "-";
        const std::string text = piped ? options.standard_input() : read_project_file(file);
        const std::string called = piped ? "(stdin)" : file.native();
        from.files.push_back({.name = called, .documents = parse_yaml(text, called)});
    }
    loaded result = load_project(
        std::move(from), [&](const std::string& in_file) { return choose_name(options, files, in_file); });
    result.variables = files.variables;
    result.variables["COMPOSE_PROJECT_NAME"] = result.project.name;
    result.project.working_dir = files.directory;
    for (const fs::path& file : files.files)
        if (file != "-")
            result.project.config_files.push_back(file);
    return result;
}

namespace {

/// A request is about this host's files by their absolute paths alone.
void refuse_files(const source_file& file, std::vector<diagnostic>& wrong) {
    for (const node& document : file.documents)
        if (const node* services = document.find("services"))
            for (const auto& [name, service] : services->entries)
                for (const std::string_view key : {"env_file", "label_file"})
                    if (const node* named = service.find(key); named != nullptr && !named->is_null())
                        wrong.push_back({.at = named->at,
                            .path = fmt::format("services.{}.{}", name, key),
                            .message = "a request cannot name files of the host; send what is in them"});
    for (const node& document : file.documents)
        for (const std::string_view kind : {"secrets", "configs"})
            if (const node* contents = document.find(kind))
                for (const auto& [name, each] : contents->entries)
                    for (const std::string_view key : {"file", "environment"})
                        if (const node* named = each.find(key); named != nullptr && !named->is_null())
                            wrong.push_back({.at = named->at,
                                .path = fmt::format("{}.{}.{}", kind, name, key),
                                .message = "a request cannot name files or variables of the host; send the "
                                           "content, or name one that the engine keeps with external: true"});
}

} // namespace

node part_of(const node& tree, const std::vector<std::string>& services, bool all_resources) {
    node part = tree;
    node* all = part.find("services");
    if (services.empty() || all == nullptr)
        return part;
    std::set<std::string> kept;
    std::vector<std::string> left = services;
    while (!left.empty()) {
        const std::string name = std::move(left.back());
        left.pop_back();
        const node* service = all->find(name);
        if (service == nullptr || !kept.insert(name).second)
            continue;
        if (const node* dependencies = service->find("depends_on"))
            for (const auto& [dependency, how] : dependencies->entries)
                left.push_back(dependency);
    }
    std::erase_if(all->entries, [&](const auto& entry) { return !kept.contains(entry.first); });
    if (!all_resources)
        prune(part);
    return part;
}

namespace {

/// Throws load_error unless all that is told are warnings; gives these.
std::vector<std::string> warnings_of(std::vector<diagnostic> told) {
    std::vector<diagnostic> ordered = without_consequences({}, std::move(told));
    std::vector<std::string> warnings;
    for (const diagnostic& each : ordered)
        if (each.warning)
            warnings.push_back(to_string(each));
    std::erase_if(ordered, [](const diagnostic& each) { return each.warning; });
    fail_if(std::move(ordered));
    return warnings;
}

} // namespace

std::vector<std::string> check_supported(const loaded& read) {
    std::vector<diagnostic> told;
    check_supported(read.project, places_in(*read.tree), told);
    check_mount_members(*read.tree, told);
    name_as_written(*read.tree, told);
    return warnings_of(std::move(told));
}

project load_text(std::string_view text, const std::string& name, std::vector<std::string>* warnings) {
    check_project_name(name);
    source_file file{.name = "(request)", .documents = parse_yaml(text, "(request)")};
    std::vector<diagnostic> wrong;
    refuse_files(file, wrong);
    fail_if(std::move(wrong));
    wrong.clear();
    // Relative paths come out below a folder that no path of a host has.
    const std::string nowhere = "/\x01";
    loaded read =
        load_project({.files = {std::move(file)},
                         .around = {.place = {.directory = nowhere, .home = nowhere}, .variables = {}},
                         .own_files = false,
                         .profiles = {},
                         .services = {}},
            [&](const std::string&) { return name; });
    refuse_providers(read);
    const place_lookup place = places_in(*read.tree);
    for (const auto& [service_name, service] : read.project.services)
        for (std::size_t index = 0; index < service.mounts.size(); ++index)
            if (service.mounts[index].source.starts_with(nowhere)) {
                const std::string path = fmt::format("services.{}.volumes[{}]", service_name, index);
                wrong.push_back(
                    {.at = place(path), .path = path, .message = "a request needs absolute paths"});
            }
    fail_if(std::move(wrong));
    std::vector<std::string> odd = check_supported(read);
    if (warnings != nullptr) {
        *warnings = std::move(read.warnings);
        warnings->insert(warnings->end(), odd.begin(), odd.end());
    }
    return std::move(read.project);
}

void check_project(project& of) {
    check_project_name(of.name);
    for (auto& [name, service] : of.services) {
        if (service.network_mode.empty() && service.networks.empty())
            service.networks["default"];
        if (service.networks.contains("default"))
            of.networks.try_emplace("default");
    }
    for (auto& [key, network] : of.networks)
        if (network.name.empty())
            network.name = network.external ? key : fmt::format("{}_{}", of.name, key);
    for (auto& [key, volume] : of.volumes)
        if (volume.name.empty())
            volume.name = volume.external ? key : fmt::format("{}_{}", of.name, key);
    for (auto* contents : {&of.secrets, &of.configs})
        for (auto& [key, each] : *contents)
            if (each.name.empty())
                each.name = each.external ? key : fmt::format("{}_{}", of.name, key);
    std::vector<diagnostic> wrong;
    const place_lookup nowhere = [](const std::string&) { return position(); };
    check_consistency(of, nowhere, wrong);
    check_supported(of, nowhere, wrong);
    warnings_of(std::move(wrong)); // who has the files has told them
}

} // namespace compose
