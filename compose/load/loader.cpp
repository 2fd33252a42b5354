#include "compose/load/loader.hpp"

#include "compose/load/decode.hpp"
#include "compose/load/dotenv.hpp"
#include "compose/load/interpolate.hpp"
#include "compose/load/merge.hpp"
#include "compose/load/node.hpp"
#include "compose/load/normalise.hpp"
#include "compose/load/project_files.hpp"

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

/// The files as one tree, variables filled in.
node read_tree(const std::vector<std::pair<std::string, std::string>>& texts, const variable_lookup& lookup,
    std::vector<std::string>& warnings) {
    node whole;
    std::vector<std::string> unset;
    std::vector<diagnostic> wrong;
    for (const auto& [file, text] : texts)
        for (node& document : parse_yaml(text, file)) {
            interpolate_tree(document, {}, lookup, unset, wrong);
            whole = merge(std::move(whole), std::move(document));
        }
    fail_if(std::move(wrong));
    if (whole.is_null())
        throw error(error_kind::invalid, fmt::format("{}: empty compose file",
                                             texts.empty() ? std::string("(nothing)") : texts.front().first));
    drop_resets(whole);
    std::set<std::string> told;
    for (const std::string& name : unset)
        if (told.insert(name).second)
            warnings.push_back(
                fmt::format("The \"{}\" variable is not set. Defaulting to a blank string.", name));
    return whole;
}

/// Folds the env files of each service into its environment and fills in what is passed through.
void resolve_environment(decoded& tree, const fs::path& directory,
    const std::map<std::string, std::string>& variables, std::vector<diagnostic>& wrong) {
    const variable_lookup lookup = lookup_in(variables);
    for (auto& [name, service] : tree.value.services) {
        std::map<std::string, std::optional<std::string>> whole;
        for (const env_file_entry& entry : tree.env_files[name]) {
            const fs::path file = (directory / entry.path).lexically_normal();
            std::error_code none;
            if (!entry.required && !fs::exists(file, none))
                continue;
            try {
                const std::string text = read_project_file(file);
                for (auto& [key, value] : entry.raw ? parse_dotenv_raw(text, file.native())
                                                    : parse_dotenv(text, file.native(), lookup))
                    if (auto passed = value ? value : lookup(key))
                        whole[key] = std::move(passed);
            } catch (const error& failure) {
                wrong.push_back({.at = entry.at,
                    .path = fmt::format("services.{}.env_file", name),
                    .message = failure.what()});
            }
        }
        for (const auto& [key, value] : service.environment)
            whole[key] = value ? value : lookup(key);
        service.environment = std::move(whole);
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
        if (comma != 0)
            active.emplace(rest.substr(0, comma));
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
    return active;
}

} // namespace

loaded load(const load_options& options) {
    loaded result;
    const project_files files = find_project_files(options);
    result.warnings = files.warnings;
    std::vector<std::pair<std::string, std::string>> texts;
    for (const fs::path& file : files.files)
        if (file == "-")
            texts.emplace_back("(stdin)", options.standard_input);
        else
            texts.emplace_back(file.native(), read_project_file(file));

    const node tree = read_tree(texts, lookup_in(files.variables), result.warnings);
    std::vector<diagnostic> wrong;
    decoded read = decoder(wrong).run(tree);
    if (read.has_version)
        result.warnings.emplace_back("the attribute `version` is obsolete, it will be ignored, please remove "
                                     "it to avoid potential confusion");
    read.value.name = choose_name(options, files, read.value.name);
    read.value.working_dir = files.directory;
    for (const fs::path& file : files.files)
        if (file != "-")
            read.value.config_files.push_back(file);
    const auto home = files.variables.find("HOME");
    normalise(read, files.directory, home == files.variables.end() ? "/" : home->second, wrong);
    resolve_environment(read, files.directory, files.variables, wrong);
    fail_if(std::move(wrong));
    select_profiles(read.value, active_profiles(options, files),
        std::set<std::string>(options.services.begin(), options.services.end()));
    result.project = std::move(read.value);
    return result;
}

project load_text(std::string_view text, const std::string& name) {
    check_project_name(name);
    std::vector<std::string> warnings;
    const std::map<std::string, std::string> none;
    const node tree = read_tree({{"(request)", std::string(text)}}, lookup_in(none), warnings);
    std::vector<diagnostic> wrong;
    decoded read = decoder(wrong).run(tree);
    read.value.name = name;
    for (const auto& [service, files] : read.env_files)
        for (const env_file_entry& entry : files)
            wrong.push_back({.at = entry.at,
                .path = fmt::format("services.{}.env_file", service),
                .message = "a request cannot name files of the host; send the variables under environment"});
    for (const auto& [service_name, service] : read.value.services)
        for (const mount& each : service.mounts)
            if (each.type == mount_type::bind && !each.source.starts_with('/'))
                wrong.push_back({.at = read.services_at[service_name],
                    .path = fmt::format("services.{}.volumes", service_name),
                    .message = fmt::format("\"{}\": a request needs absolute paths", each.source)});
    normalise(read, "/", "/", wrong);
    fail_if(std::move(wrong));
    select_profiles(read.value, {}, {});
    return std::move(read.value);
}

void check_project(project& of) {
    check_project_name(of.name);
    std::vector<diagnostic> wrong;
    decoded whole;
    whole.value = std::move(of);
    for (const auto& [name, service] : whole.value.services)
        if (service.image.empty())
            wrong.push_back(
                {.at = {}, .path = fmt::format("services.{}.image", name), .message = "is missing"});
    normalise(whole, "/", "/", wrong);
    fail_if(std::move(wrong));
    of = std::move(whole.value);
}

} // namespace compose
