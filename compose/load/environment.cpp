#include "compose/load/environment.hpp"

#include "compose/load/dotenv.hpp"
#include "compose/load/project_files.hpp"
#include "compose/load/scalar.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <map>

namespace compose {

namespace fs = std::filesystem;

namespace {

dotenv_entries read_entries(const node& from, const fs::path& directory, const variable_lookup& lookup,
    const variable_lookup& earlier, std::vector<std::string>& unset) {
    const node* path = from.find("path");
    const std::string file = (directory / (path == nullptr ? from.text : path->text)).native();
    const node* required = from.find("required");
    std::error_code none;
    if (required != nullptr && required->text == "false" && !fs::exists(file, none))
        return {};
    const std::string text = read_project_file(file);
    const node* format = from.find("format");
    return format != nullptr && format->text == "raw" ? parse_dotenv_raw(text, file)
                                                      : parse_dotenv(text, file, lookup, earlier, &unset);
}

/// Lays what stands in files under what the service says itself, and takes their names out.
void fold_files(node& service, std::string_view files_key, std::string_view into_key,
    const fs::path& directory, const variable_lookup& lookup, const std::string& path,
    std::vector<std::string>& unset, std::vector<diagnostic>& wrong) {
    const node* files = service.find(files_key);
    if (files == nullptr)
        return;
    node folded = map_node(*files);
    std::map<std::string, std::size_t> places;
    const auto put = [&](const std::string& key, node value) {
        const auto [place, fresh] = places.emplace(key, folded.entries.size());
        if (fresh)
            add_member(folded, key, std::move(value));
        else
            folded.entries[place->second].second = std::move(value);
    };
    const variable_lookup earlier = [&](const std::string& name) -> std::optional<std::string> {
        const auto found = places.find(name); // of a file before this one
        return found == places.end() ? std::nullopt
                                     : std::optional(folded.entries[found->second].second.text);
    };
    for (const node& entry : files->items) {
        const std::string here = fmt::format(
            "{}.{}{}", path, files_key, entry.item < 0 ? std::string() : fmt::format("[{}]", entry.item));
        try {
            for (const auto& [key, value] : read_entries(entry, directory, lookup, earlier, unset))
                if (const auto passed = value ? value : lookup(key))
                    put(key, text_node(entry, *passed));
        } catch (const load_error& failure) {
            for (const diagnostic& each : failure.diagnostics()) {
                const bool in_it = each.at.line != 0;
                wrong.push_back({.at = in_it ? each.at : entry.at,
                    .path = in_it ? std::string() : here,
                    .message = in_it ? each.message : to_string(each)});
            }
        }
    }
    if (const node* own = service.find(into_key); own != nullptr && own->is_map())
        for (const auto& [key, value] : own->entries)
            put(key, value);
    std::erase_if(service.entries,
        [&](const auto& entry) { return entry.first == files_key || entry.first == into_key; });
    add_member(service, std::string(into_key), std::move(folded));
}

/// What the values of env_file may refer to: the surroundings, then what the service says itself.
variable_lookup seen_by_files(const node& service, const variable_lookup& lookup) {
    std::map<std::string, std::string> own;
    if (const node* variables = service.find("environment"); variables != nullptr && variables->is_map())
        for (const auto& [key, value] : variables->entries)
            if (!value.is_null())
                own.emplace(key, value.text);
    return [own = std::move(own), lookup](const std::string& name) -> std::optional<std::string> {
        const auto found = own.find(name);
        const auto around = lookup(name);
        return around || found == own.end() ? around : std::optional(found->second);
    };
}

/// Variables without a value get that of the surroundings, where it is set.
void pass_through(node* variables, const variable_lookup& lookup) {
    if (variables == nullptr)
        return;
    for (auto& [key, value] : variables->entries)
        if (const auto passed = value.is_null() ? lookup(key) : std::nullopt)
            value = text_node(value, *passed);
}

} // namespace

void pass_through_included(node& tree, const variable_lookup& lookup) {
    node* services = tree.find("services");
    if (services == nullptr || !services->is_map())
        return;
    for (auto& [name, service] : services->entries) {
        node* variables = service.find("environment");
        if (variables == nullptr)
            continue;
        if (variables->is_map())
            pass_through(variables, lookup);
        for (node& each : variables->items) // as it is written, where variables stay
            if (each.text.find('=') == std::string::npos)
                if (const auto passed = lookup(each.text))
                    each.text += "=" + *passed;
    }
}

void resolve_environment(node& tree, const fs::path& directory, const variable_lookup& lookup, bool files,
    std::vector<std::string>& unset, std::vector<diagnostic>& wrong) {
    node* services = tree.find("services");
    if (services == nullptr)
        return;
    for (auto& [name, service] : services->entries) {
        const std::string path = "services." + name;
        if (files)
            fold_files(service, "env_file", "environment", directory, seen_by_files(service, lookup), path,
                unset, wrong);
        fold_files(service, "label_file", "labels", directory, lookup, path, unset, wrong);
        pass_through(service.find("environment"), lookup);
    }
}

void pass_arguments(node& tree, const variable_lookup& lookup) {
    node* services = tree.find("services");
    if (services == nullptr)
        return;
    for (auto& [name, service] : services->entries)
        if (node* build = service.find("build"); build != nullptr)
            if (node* arguments = build->find("args")) {
                pass_through(arguments, lookup);
                std::erase_if(arguments->entries, [](const auto& entry) { return entry.second.is_null(); });
            }
}

} // namespace compose
