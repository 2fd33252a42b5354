#include "compose/load/loader.hpp"

#include "compose/load/check.hpp"
#include "compose/load/decode.hpp"
#include "compose/load/dotenv.hpp"
#include "compose/load/fill.hpp"
#include "compose/load/interpolate.hpp"
#include "compose/load/merge.hpp"
#include "compose/load/project_files.hpp"
#include "compose/load/scalar.hpp"
#include "compose/load/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace compose {

namespace fs = std::filesystem;

namespace {

variable_lookup lookup_in(const std::map<std::string, std::string>& variables) {
    return [&variables](const std::string& name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
}

void fail_if(std::vector<diagnostic> wrong) {
    if (!wrong.empty())
        throw load_error(std::move(wrong));
}

using file_texts = std::vector<std::pair<std::string, std::string>>; // name and text

std::vector<std::vector<node>> parse_all(const file_texts& texts) {
    std::vector<std::vector<node>> files;
    for (const auto& [file, text] : texts)
        files.push_back(parse_yaml(text, file));
    return files;
}

/// `name:` of the last document that has one, variables filled in.
std::string name_in(const std::vector<std::vector<node>>& files, const variable_lookup& lookup) {
    std::string name;
    std::vector<std::string> unset;
    for (const std::vector<node>& documents : files)
        for (const node& document : documents)
            if (const node* found = document.find("name"); found != nullptr && found->is_scalar()) {
                name = interpolate(found->text, lookup, unset);
                if (!name.empty() && normalise_project_name(name).empty())
                    throw_load_error(found->at, "name",
                        fmt::format("\"{}\" has no letter or digit; a project's name begins with one", name));
            }
    return name;
}

void refuse_later_keys(const node& document, std::vector<diagnostic>& wrong) {
    const auto refuse = [&](const node* found, std::string path) {
        if (found != nullptr)
            wrong.push_back({.at = found->key_at,
                .path = std::move(path),
                .message = "is not supported yet by this version of composed"});
    };
    refuse(document.find("include"), "include");
    if (const node* services = document.find("services"))
        for (const auto& [name, service] : services->entries)
            refuse(service.find("extends"), fmt::format("services.{}.extends", name));
}

/// The files as one tree in its long form, variables filled in.
node read_tree(
    std::vector<std::vector<node>> files, const variable_lookup& lookup, std::vector<std::string>& warnings) {
    node whole;
    std::vector<std::string> unset;
    std::vector<diagnostic> wrong;
    for (std::vector<node>& documents : files)
        for (node& document : documents) {
            interpolate_tree(document, {}, lookup, unset, wrong);
            conform(document, project_schema, {}, wrong, warnings);
            refuse_later_keys(document, wrong);
            whole = merge(std::move(whole), std::move(document), project_schema);
        }
    fail_if(std::move(wrong));
    drop_resets(whole);
    std::set<std::string> told;
    for (const std::string& name : unset)
        if (told.insert(name).second)
            warnings.push_back(
                fmt::format("The \"{}\" variable is not set. Defaulting to a blank string.", name));
    return whole;
}

/// A name that a resource may have.
void check_keys(const node& tree, std::vector<diagnostic>& wrong) {
    const auto fits = [](std::string_view name) {
        return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
            return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
        });
    };
    for (const std::string_view kind : {"services", "networks", "volumes", "configs", "secrets", "models"})
        if (const node* resources = tree.find(kind))
            for (const auto& [name, value] : resources->entries)
                if (!fits(name))
                    wrong.push_back({.at = value.key_at,
                        .path = fmt::format("{}.{}", kind, name),
                        .message = "a name has letters, digits, and the characters . _ - only"});
}

void check_services(const node& tree, std::vector<diagnostic>& wrong) {
    const node* services = tree.find("services");
    if (services == nullptr)
        return;
    for (const auto& [name, service] : services->entries) {
        const std::string path = "services." + name;
        const auto given = [&](std::string_view key) {
            const node* found = service.find(key);
            return found != nullptr && !found->is_null() && !(found->is_scalar() && found->text.empty());
        };
        if (!given("image") && !given("build") && !given("provider"))
            wrong.push_back(
                {.at = service.at, .path = path, .message = "has neither an image nor a build; set image"});
        const node* build = service.find("build");
        if (build != nullptr && build->find("dockerfile") != nullptr &&
            build->find("dockerfile_inline") != nullptr)
            wrong.push_back({.at = build->at,
                .path = path + ".build",
                .message = "dockerfile and dockerfile_inline exclude one another"});
    }
}

/// Where the content of a config or secret comes from: one place, and one only.
void check_sources(const node& tree, std::vector<diagnostic>& wrong) {
    for (const std::string_view kind : {"configs", "secrets"})
        if (const node* resources = tree.find(kind))
            for (const auto& [name, from] : resources->entries) {
                int sources = 0;
                for (const std::string_view key : {"file", "environment", "content"})
                    sources += from.find(key) != nullptr ? 1 : 0;
                const node* external = from.find("external");
                const bool elsewhere =
                    (external != nullptr && external->text == "true") || from.find("driver") != nullptr;
                if (sources == 1 || (elsewhere && sources == 0))
                    continue;
                wrong.push_back({.at = from.at,
                    .path = fmt::format("{}.{}", kind, name),
                    .message = fmt::format("needs {} of file, environment{}",
                        sources == 0 ? "one" : "only one", kind == "configs" ? ", content" : "")});
            }
}

/// Names of configs, secrets and models that services use and nothing declares.
void check_references(const node& tree, std::vector<diagnostic>& wrong) {
    const node* services = tree.find("services");
    if (services == nullptr)
        return;
    const auto refer = [&](const node& at, const std::string& path, std::string_view kind,
                           const std::string& name) {
        const node* resources = tree.find(kind);
        if (resources == nullptr || resources->find(name) == nullptr)
            wrong.push_back({.at = at.at,
                .path = path,
                .message = fmt::format("refers to undefined {} {}", kind.substr(0, kind.size() - 1), name)});
    };
    for (const auto& [name, service] : services->entries) {
        for (const std::string_view kind : {"configs", "secrets"})
            if (const node* used = service.find(kind))
                for (std::size_t index = 0; index < used->items.size(); ++index)
                    if (const node* source = used->items[index].find("source"))
                        refer(*source, fmt::format("services.{}.{}[{}]", name, kind, index), kind,
                            source->text);
        if (const node* used = service.find("models"))
            for (const auto& [model, how] : used->entries)
                refer(how, fmt::format("services.{}.models.{}", name, model), "models", model);
    }
}

/// Where a path stands: at the node it leads to, or at the nearest one above that there is.
place_lookup places_in(const node& tree) {
    return [&tree](const std::string& path) {
        const node* at = &tree;
        std::string_view rest = path;
        while (!rest.empty() && at->is_map()) {
            const node* next = nullptr;
            std::size_t used = 0;
            for (const auto& [key, value] : at->entries) // a key may have dots in it
                if (rest.starts_with(key) && key.size() >= used &&
                    (rest.size() == key.size() || rest[key.size()] == '.' || rest[key.size()] == '[')) {
                    next = &value;
                    used = key.size();
                }
            if (next == nullptr)
                break;
            at = next;
            rest.remove_prefix(std::min(rest.size(), used));
            if (rest.starts_with('[')) {
                const std::size_t index = std::strtoul(rest.data() + 1, nullptr, 10);
                rest.remove_prefix(std::min(rest.size(), rest.find(']') + 1));
                if (at->is_list() && index < at->items.size())
                    at = &at->items[index];
            }
            rest.remove_prefix(rest.starts_with('.') ? 1 : 0);
        }
        return at->at;
    };
}

// --- environment

dotenv_entries read_entries(const node& from, const variable_lookup& lookup) {
    const node* path = from.find("path");
    const std::string& file = path == nullptr ? from.text : path->text;
    const node* required = from.find("required");
    std::error_code none;
    if (required != nullptr && required->text == "false" && !fs::exists(file, none))
        return {};
    const std::string text = read_project_file(file);
    const node* format = from.find("format");
    return format != nullptr && format->text == "raw" ? parse_dotenv_raw(text, file)
                                                      : parse_dotenv(text, file, lookup);
}

/// Lays what stands in files under what the service says itself, and takes their names out.
void fold_files(node& service, std::string_view files_key, std::string_view into_key,
    const variable_lookup& lookup, const std::string& path, std::vector<diagnostic>& wrong) {
    const node* files = service.find(files_key);
    if (files == nullptr)
        return;
    node folded = map_node(*files);
    const auto put = [&](const std::string& key, node value) {
        if (node* there = folded.find(key))
            *there = std::move(value);
        else
            add_member(folded, key, std::move(value));
    };
    for (const node& entry : files->items) {
        try {
            for (const auto& [key, value] : read_entries(entry, lookup))
                if (const auto passed = value ? value : lookup(key))
                    put(key, text_node(entry, *passed));
        } catch (const error& failure) {
            wrong.push_back(
                {.at = entry.at, .path = fmt::format("{}.{}", path, files_key), .message = failure.what()});
        }
    }
    if (const node* own = service.find(into_key); own != nullptr && own->is_map())
        for (const auto& [key, value] : own->entries)
            put(key, value);
    std::erase_if(service.entries,
        [&](const auto& entry) { return entry.first == files_key || entry.first == into_key; });
    add_member(service, std::string(into_key), std::move(folded));
}

/// Variables without a value get that of the surroundings, where it is set.
void pass_through(node* variables, const variable_lookup& lookup) {
    if (variables == nullptr)
        return;
    for (auto& [key, value] : variables->entries)
        if (const auto passed = value.is_null() ? lookup(key) : std::nullopt)
            value = text_node(value, *passed);
}

/// Folds the files of each service into its environment and labels, and fills in what is passed through.
void resolve_environment(node& tree, const variable_lookup& lookup, std::vector<diagnostic>& wrong) {
    node* services = tree.find("services");
    if (services == nullptr)
        return;
    for (auto& [name, service] : services->entries) {
        const std::string path = "services." + name;
        fold_files(service, "env_file", "environment", lookup, path, wrong);
        fold_files(service, "label_file", "labels", lookup, path, wrong);
        pass_through(service.find("environment"), lookup);
        if (node* build = service.find("build"); build != nullptr)
            if (node* arguments = build->find("args")) {
                pass_through(arguments, lookup);
                std::erase_if(arguments->entries, [](const auto& entry) { return entry.second.is_null(); });
            }
    }
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
        name = normalise_project_name(options.working_directory.filename().native());
    check_project_name(name);
    return name;
}

std::set<std::string> active_profiles(const load_options& options, const project_files& files) {
    std::set<std::string> active(options.profiles.begin(), options.profiles.end());
    const auto found = files.variables.find("COMPOSE_PROFILES");
    if (!active.empty() || found == files.variables.end())
        return active;
    std::string_view rest = found->second;
    while (!rest.empty()) {
        const auto comma = rest.find(',');
        std::string_view name = rest.substr(0, comma);
        name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
        name = name.substr(0, name.find_last_not_of(' ') + 1);
        if (!name.empty())
            active.emplace(name);
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
    return active;
}

} // namespace

namespace {

struct load_input {
    file_texts texts;
    std::map<std::string, std::string> variables;
    project_place place;
    std::set<std::string> profiles;
    std::set<std::string> services; // named: on by that
};

/// From texts to a project; `name_of` chooses the name, given the one in the files.
loaded load_project(load_input from, const std::function<std::string(const std::string&)>& name_of) {
    loaded result;
    std::vector<std::vector<node>> files = parse_all(from.texts);
    const std::string name = name_of(name_in(files, lookup_in(from.variables)));
    from.variables["COMPOSE_PROJECT_NAME"] = name;
    const variable_lookup lookup = lookup_in(from.variables);
    node tree = read_tree(std::move(files), lookup, result.warnings);
    if (tree.is_null())
        throw error(error_kind::invalid,
            fmt::format("{}:1:1: empty compose file",
                from.texts.empty() ? std::string("(nothing)") : from.texts.front().first));
    if (tree.find("version") != nullptr)
        result.warnings.emplace_back("the attribute `version` is obsolete, it will be ignored, please remove "
                                     "it to avoid potential confusion");

    std::vector<diagnostic> wrong;
    check_keys(tree, wrong);
    require_members(tree, project_schema, {}, wrong);
    check_services(tree, wrong);
    check_sources(tree, wrong);
    fail_if(std::move(wrong));
    wrong.clear();
    std::erase_if(tree.entries, [](const auto& entry) { return entry.first == "version"; });
    fill(tree, name, from.place);
    const node disabled = take_disabled(tree, from.profiles, from.services);
    resolve_environment(tree, lookup, wrong);
    project made = decode(tree, disabled, result.ignored);
    check_references(tree, wrong);
    check_consistency(made, places_in(tree), wrong);
    fail_if(std::move(wrong));
    prune(tree);
    result.ignored.clear();
    result.project = decode(tree, disabled, result.ignored);
    result.tree = std::make_shared<const node>(std::move(tree));
    return result;
}

} // namespace

loaded load(const load_options& options) {
    const project_files files = find_project_files(options);
    load_input from{.texts = {},
        .variables = files.variables,
        .place = {.directory = files.directory, .home = "/"},
        .profiles = active_profiles(options, files),
        .services = std::set<std::string>(options.services.begin(), options.services.end())};
    if (const auto home = files.variables.find("HOME"); home != files.variables.end())
        from.place.home = home->second;
    for (const fs::path& file : files.files)
        if (file == "-")
            from.texts.emplace_back("(stdin)", options.standard_input);
        else
            from.texts.emplace_back(file.native(), read_project_file(file));
    loaded result = load_project(
        std::move(from), [&](const std::string& in_file) { return choose_name(options, files, in_file); });
    result.warnings.insert(result.warnings.begin(), files.warnings.begin(), files.warnings.end());
    result.project.working_dir = files.directory;
    for (const fs::path& file : files.files)
        if (file != "-")
            result.project.config_files.push_back(file);
    return result;
}

namespace {

/// A request is about this host's files by their absolute paths alone.
void refuse_relative(const std::vector<std::vector<node>>& files, std::vector<diagnostic>& wrong) {
    for (const std::vector<node>& documents : files)
        for (const node& document : documents)
            if (const node* services = document.find("services"))
                for (const auto& [name, service] : services->entries)
                    for (const std::string_view key : {"env_file", "label_file"})
                        if (const node* named = service.find(key); named != nullptr && !named->is_null())
                            wrong.push_back({.at = named->at,
                                .path = fmt::format("services.{}.{}", name, key),
                                .message = "a request cannot name files of the host; send what is in them"});
}

} // namespace

project load_text(std::string_view text, const std::string& name) {
    check_project_name(name);
    const file_texts texts{{"(request)", std::string(text)}};
    std::vector<diagnostic> wrong;
    refuse_relative(parse_all(texts), wrong);
    fail_if(std::move(wrong));
    // Relative paths come out below a folder that no path of a host has.
    const std::string nowhere = "/\x01";
    loaded read = load_project({.texts = texts,
                                   .variables = {},
                                   .place = {.directory = nowhere, .home = nowhere},
                                   .profiles = {},
                                   .services = {}},
        [&](const std::string&) { return name; });
    const place_lookup place = places_in(*read.tree);
    for (const auto& [service_name, service] : read.project.services)
        for (std::size_t index = 0; index < service.mounts.size(); ++index)
            if (service.mounts[index].source.starts_with(nowhere)) {
                const std::string path = fmt::format("services.{}.volumes[{}]", service_name, index);
                wrong.push_back(
                    {.at = place(path), .path = path, .message = "a request needs absolute paths"});
            }
    fail_if(std::move(wrong));
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
    std::vector<diagnostic> wrong;
    const place_lookup nowhere = [](const std::string&) { return position(); };
    check_consistency(of, nowhere, wrong);
    check_supported(of, nowhere, wrong);
    fail_if(std::move(wrong));
}

} // namespace compose
