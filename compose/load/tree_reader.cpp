#include "compose/load/tree_reader.hpp"

#include "compose/load/dotenv.hpp"
#include "compose/load/environment.hpp"
#include "compose/load/fill.hpp"
#include "compose/load/interpolate.hpp"
#include "compose/load/merge.hpp"
#include "compose/load/project_files.hpp"
#include "compose/load/schema_basics.hpp"
#include "compose/load/yaml.hpp"
#include "compose/model/nearest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace compose {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t most_nested = 100; // files that extend or include one another
// Files of files that each name two more are soon more than anybody can read.
constexpr std::size_t most_files = 10'000;
constexpr std::size_t most_bytes = 64U << 20U;
constexpr std::size_t most_values = 2'000'000; // that `extends` may copy

std::size_t count(const node& of) {
    std::size_t values = 1;
    for (const node& item : of.items)
        values += count(item);
    for (const auto& [key, value] : of.entries)
        values += count(value);
    return values;
}

void take(node& map, std::string_view key) {
    std::erase_if(map.entries, [&](const auto& entry) { return entry.first == key; });
}

/// The same value, wherever it stands.
bool same(const node& one, const node& other) {
    if (one.kind != other.kind || one.text != other.text || one.items.size() != other.items.size() ||
        one.entries.size() != other.entries.size())
        return false;
    for (std::size_t index = 0; index < one.items.size(); ++index)
        if (!same(one.items[index], other.items[index]))
            return false;
    const key_index twins(&other);
    return std::all_of(one.entries.begin(), one.entries.end(), [&](const auto& entry) {
        const node* twin = twins.find(entry.first);
        return twin != nullptr && same(entry.second, *twin);
    });
}

/// Where paths are not made absolute, those of other files lead on from the folder that names these.
project_place seen_from(const fs::path& folder, project_place place) {
    place.directory = place.directory.lexically_relative(folder);
    return place;
}

} // namespace

void tree_reader::fail(const node& at, std::string path, std::string message, std::string_view section) {
    wrong_.push_back({.at = at.at,
        .path = std::move(path),
        .message = std::move(message),
        .section = std::string(section)});
}

void tree_reader::take_over(
    const load_error& failure, const node& named_at, const std::string& path, std::string_view section) {
    for (const diagnostic& each : failure.diagnostics())
        if (each.at.line == 0)
            fail(named_at, path, to_string(each), section);
        else
            wrong_.push_back(
                {.at = each.at, .path = each.path, .message = each.message, .section = std::string(section)});
}

source_file tree_reader::read_source(const std::filesystem::path& file) {
    ++files_read_;
    const std::string text =
        bytes_read_ > most_bytes || files_read_ > most_files ? std::string() : read_project_file(file);
    bytes_read_ += text.size();
    if (bytes_read_ > most_bytes || files_read_ > most_files)
        throw_load_error({}, {},
            fmt::format("the files that this project names are more than {} or {} bytes, each as often as it "
                        "is named",
                most_files, most_bytes));
    return {.name = file.native(), .documents = parse_yaml(text, file.native())};
}

node tree_reader::read(
    std::vector<source_file> files, const surroundings& in, std::vector<diagnostic>& wrong) {
    project_ = in.place.directory;
    node whole = read_files(std::move(files), in, {});
    wrong = std::move(wrong_);
    drop_resets(whole);
    warn_of_unset(unset_, warnings_);
    return whole;
}

node tree_reader::read_files(std::vector<source_file> files, const surroundings& in, const chain& includes) {
    node whole;
    for (source_file& file : files)
        for (node& document : file.documents) {
            prepare(document, in);
            extend_all(document, file.name, in);
            if (how_.paths)
                resolve_paths(document, in.place);
            else if (!includes.empty())
                resolve_paths(document, seen_from(project_, in.place));
            include_all(document, file.name, in, includes);
            whole = merge(std::move(whole), std::move(document), project_schema, !how_.interpolate);
        }
    return whole;
}

void tree_reader::prepare(node& document, const surroundings& in) {
    if (how_.interpolate)
        interpolate_tree(document, {}, lookup_in(in.variables), unset_, wrong_);
    conform(document, project_schema, {}, wrong_, warnings_, !how_.interpolate);
}

// --- extends

void tree_reader::extend_all(node& document, const std::string& file, const surroundings& in) {
    node* services = document.find("services");
    if (services == nullptr || !services->is_map())
        return;
    const node as_written = *services;
    extension run{.in = in};
    for (auto& [name, service] : services->entries)
        if (service.is_map() && service.find("extends") != nullptr)
            service = extended({.services = &as_written, .file = file}, name, run);
}

node tree_reader::extended(const origin& from, const std::string& name, extension& run) {
    const std::string step = fmt::format("{} in {}", name, from.file);
    if (const auto made = run.made.find(step); made != run.made.end())
        return made->second;
    node service = *from.services->find(name);
    const node* extends = service.find("extends");
    if (extends == nullptr || !extends->is_map())
        return service;
    const std::string path = fmt::format("services.{}.extends", name);
    const bool seen = std::find(run.way.begin(), run.way.end(), step) != run.way.end();
    if (seen || run.way.size() >= most_nested) {
        fail(*extends, path,
            seen ? fmt::format("goes round in a circle: {} -> {}", fmt::join(run.way, " -> "), step)
                 : fmt::format("services that extend one another more than {} deep", most_nested));
        return service;
    }
    const position extends_at = extends->at;
    run.way.push_back(step);
    node base = base_of(*extends, path, from, run);
    run.way.pop_back();
    if (!base.is_null())
        take(service, "extends");
    if (const node* lost = base.find("extends"); lost != nullptr && !lost->is_map())
        take(base, "extends");
    base.at = service.at;
    base.tag = merge_tag::none;
    node whole = merge(std::move(base), std::move(service), schemas::service, !how_.interpolate);
    values_made_ += 2 * count(whole); // it is kept for who extends it in turn
    if (values_made_ > most_values)
        throw_load_error(extends_at, path,
            fmt::format("more than {} values once all that is extended is written out", most_values));
    run.made.emplace(step, whole);
    return whole;
}

/// Whether something of a service is told to be wrong, and so is left out.
bool tree_reader::is_faulty(const std::string& name, const std::string& file) {
    constexpr std::string_view services = "services.";
    for (; looked_through_ < wrong_.size(); ++looked_through_) {
        const diagnostic& each = wrong_[looked_through_];
        if (!each.path.starts_with(services) || each.at.file == nullptr)
            continue;
        const std::string below = each.path.substr(services.size());
        for (std::size_t end = below.find_first_of(".["); end != std::string::npos;
             end = below.find_first_of(".[", end + 1)) // names may have dots in them
            faulty_.emplace(*each.at.file, below.substr(0, end));
        faulty_.emplace(*each.at.file, below);
    }
    return faulty_.contains({file, name});
}

/// One that lacks something keeps an `extends`.
node tree_reader::with_its_faults(node base, const std::string& file, const node& extends) {
    if (base.find("extends") == nullptr && is_faulty(extends.text_at("service"), file))
        base.entries.emplace_back("extends", extends);
    return base;
}

/// What a service extends, itself written out; nothing when there is none, which is told.
node tree_reader::base_of(const node& extends, const std::string& path, const origin& from, extension& run) {
    const std::string wanted = extends.text_at("service");
    const std::string named = extends.text_at("file");
    if (extends.find("service") == nullptr)
        return {}; // told where what must be there is looked at
    const auto none_in = [&](const std::string& file, const node* services) {
        std::vector<std::string_view> known;
        if (services != nullptr)
            for (const auto& [name, service] : services->entries)
                if (fmt::format("services.{}.extends", name) != path) // not itself
                    known.emplace_back(name);
        fail(extends, path,
            fmt::format("cannot extend service \"{}\": there is none of that name in {}{}", wanted, file,
                did_you_mean(wanted, known)));
        return node{};
    };
    const fs::path directory = from.directory.empty() ? run.in.place.directory : from.directory;
    if (named.empty()) {
        const node* base = from.services->find(wanted);
        return base != nullptr && base->is_map()
                   ? with_its_faults(extended(from, wanted, run), from.file, extends)
                   : none_in(from.file, from.services);
    }
    if (!how_.own_files) {
        fail(extends, path, "a request cannot name files of the host; send what is in them");
        return {};
    }
    surroundings there = run.in;
    there.place.directory = directory;
    const fs::path other = absolute_path(named, there.place);
    there.place.directory = other.parent_path();
    try {
        auto document = run.files.find(other.native());
        if (document == run.files.end())
            document = run.files.emplace(other.native(), documents_of(read_source(other), there)).first;
        const node* others = document->second.find("services");
        const node* base = others == nullptr ? nullptr : others->find(wanted);
        if (base == nullptr || !base->is_map())
            return none_in(other.native(), others);
        node made = extended(
            {.services = others, .file = other.native(), .directory = there.place.directory}, wanted, run);
        resolve_service_paths(made, how_.paths ? there.place : seen_from(directory, there.place));
        return with_its_faults(std::move(made), other.native(), extends);
    } catch (const load_error& failure) {
        take_over(failure, *extends.find("file"), path + ".file");
    }
    return {};
}

/// All documents of a file laid over one another, `extends` not yet written out.
node tree_reader::documents_of(source_file file, const surroundings& in) {
    node whole;
    for (node& document : file.documents) {
        prepare(document, in);
        whole = merge(std::move(whole), std::move(document), project_schema, !how_.interpolate);
    }
    return whole;
}

// --- include

void tree_reader::include_all(
    node& document, const std::string& file, const surroundings& in, const chain& includes) {
    const node* found = document.find("include");
    if (found == nullptr)
        return;
    const node entries = *found;
    take(document, "include");
    for (std::size_t index = 0; index < entries.items.size(); ++index)
        include(document, entries.items[index], fmt::format("include[{}]", index), file, in, includes);
}

namespace {

/// A file that an entry of `include` names: where it does.
struct named_file {
    std::string file;
    node at;
    std::string path; // of that, as it is written
};

std::vector<named_file> files_at(
    const node& entry, std::string_view key, const std::string& path, const project_place& place) {
    std::vector<named_file> files;
    if (const node* list = entry.find(key))
        for (const node& each : list->items) {
            const std::string member = fmt::format("{}.{}", path, key);
            files.push_back({.file = absolute_path(each.text, place),
                .at = each,
                .path = each.item >= 0 ? fmt::format("{}[{}]", member, each.item)
                        : list->lone   ? member
                                       : path}); // the short form
        }
    return files;
}

/// The variables of an included project: those that hold already over its own files'. `named` becomes the
/// file that is being read.
std::map<std::string, std::string> variables_of(const node& entry, const fs::path& directory,
    const surroundings& in, std::vector<std::string>& unset, named_file& named) {
    std::vector<named_file> files = files_at(entry, "env_file", named.path, in.place);
    std::error_code none;
    if (files.empty() && fs::is_regular_file(directory / ".env", none))
        files.push_back({.file = (directory / ".env").native(), .at = named.at, .path = named.path});
    std::map<std::string, std::string> variables;
    for (const named_file& each : files) {
        const std::string& path = each.file;
        named = each;
        if (path == "/dev/null")
            continue;
        for (const auto& [name, value] : parse_dotenv(
                 read_project_file(path), path, lookup_in(in.variables), lookup_in(variables), &unset))
            if (value)
                variables[name] = *value;
    }
    for (const auto& [name, value] : in.variables)
        variables[name] = value;
    return variables;
}

} // namespace

void tree_reader::include(node& document, const node& entry, const std::string& path, const std::string& file,
    const surroundings& in, const chain& includes) {
    if (!how_.own_files)
        return fail(
            entry, path, "a request cannot name files of the host; send what is in them", in_any_section);
    const std::vector<named_file> files = files_at(entry, "path", path, in.place);
    if (files.empty())
        return fail(entry, path, "\"path\" is missing; it must be there", in_any_section);
    chain way = includes;
    way.push_back(file);
    for (const named_file& each : files)
        if (std::find(way.begin(), way.end(), each.file) != way.end())
            return fail(each.at, each.path,
                fmt::format("include cycle detected: {} -> {}", fmt::join(way, " -> "), each.file),
                in_any_section);
    if (way.size() > most_nested)
        return fail(entry, path, fmt::format("files that include one another more than {} deep", most_nested),
            in_any_section);
    const std::string directory = entry.text_at("project_directory");
    surroundings there = in;
    there.place.directory = directory.empty() ? fs::path(files.front().file).parent_path()
                                              : fs::path(absolute_path(directory, in.place));
    node imported;
    named_file named{.file = {}, .at = entry, .path = path};
    try {
        there.variables = variables_of(entry, there.place.directory, in, unset_, named);
        std::vector<source_file> sources;
        sources.reserve(files.size());
        for (const named_file& each : files) {
            named = each;
            sources.push_back(read_source(each.file));
        }
        imported = read_files(std::move(sources), there, way);
    } catch (const load_error& failure) {
        take_over(failure, named.at, named.path, in_any_section);
    } catch (const error& failure) {
        fail(named.at, named.path, failure.what(), in_any_section);
    }
    drop_resets(imported);
    pass_through_included(imported, [&](const std::string& name) { // what holds outside holds in the whole
        return in.variables.contains(name) ? std::nullopt : lookup_in(there.variables)(name);
    });
    default_contexts(imported, how_.paths ? there.place : seen_from(project_, there.place));
    for (const std::string_view kind : {"services", "networks", "volumes", "configs", "secrets", "models"}) {
        const node* resources = imported.find(kind);
        if (resources == nullptr || !resources->is_map())
            continue;
        if (document.find(kind) == nullptr || document.find(kind)->is_null()) {
            take(document, kind);
            document.entries.emplace_back(kind, *resources);
            continue;
        }
        node& own = *document.find(kind);
        // Many small files are included, or a large one: an index is worth its making for the latter alone.
        const bool many = resources->entries.size() > 16;
        const key_index known(many ? &own : nullptr);
        std::vector<std::pair<std::string, node>> fresh;
        for (const auto& [name, resource] : resources->entries)
            if (const node* there_already = many ? known.find(name) : own.find(name);
                there_already == nullptr)
                fresh.emplace_back(name, resource);
            else if (!same(*there_already, resource))
                fail(*there_already, fmt::format("{}.{}", kind, name),
                    fmt::format("conflicts with the one included from {}", files.front().file));
        std::move(fresh.begin(), fresh.end(), std::back_inserter(own.entries));
    }
}

} // namespace compose
