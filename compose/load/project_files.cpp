#include "compose/load/project_files.hpp"

#include "compose/load/dotenv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <sstream>

namespace compose {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t most_bytes = 16U << 20U;
constexpr std::array<std::string_view, 4> base_names{
    "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"};
constexpr std::array<std::string_view, 4> override_names{"compose.override.yml", "compose.override.yaml",
    "docker-compose.override.yml", "docker-compose.override.yaml"};

template <std::size_t Size>
std::vector<fs::path> present(const fs::path& folder, const std::array<std::string_view, Size>& names) {
    std::vector<fs::path> found;
    for (const std::string_view name : names)
        if (std::error_code none; fs::is_regular_file(folder / name, none))
            found.push_back(folder / name);
    return found;
}

void warn_of_several(const std::vector<fs::path>& found, std::vector<std::string>& warnings) {
    if (found.size() < 2)
        return;
    std::string names;
    for (const fs::path& each : found)
        names += (names.empty() ? "" : ", ") + each.native();
    warnings.push_back(fmt::format("Found multiple config files with supported names: {}", names));
    warnings.push_back(fmt::format("Using {}", found.front().native()));
}

void discover(const fs::path& from, project_files& into) {
    for (fs::path folder = from;; folder = folder.parent_path()) {
        const auto found = present(folder, base_names);
        if (!found.empty()) {
            warn_of_several(found, into.warnings);
            into.files.push_back(found.front());
            const auto over = present(folder, override_names);
            warn_of_several(over, into.warnings);
            if (!over.empty())
                into.files.push_back(over.front());
            return;
        }
        if (folder == folder.root_path())
            break;
    }
    throw error(error_kind::not_found,
        fmt::format(
            "no configuration file provided: not found; there is no compose.yaml in {} or above it, name one "
            "with -f",
            from.native()));
}

/// `over`: what it says takes the place of what files before it said. In one file the last line of a name
/// holds.
void add_env_file(
    const fs::path& file, project_files& into, const std::map<std::string, std::string>& process, bool over) {
    const std::map<std::string, std::string> before = into.variables;
    std::vector<std::string> unset;
    for (auto& [name, value] :
        parse_dotenv(read_project_file(file), file.native(), lookup_in(process), lookup_in(before), &unset))
        if (value && (over || !before.contains(name)))
            into.variables[name] = *value;
    warn_of_unset(unset, into.warnings);
}

/// Whether it is the address of a file elsewhere that was taken for a path: a git repository, an OCI
/// artifact.
bool is_remote(const fs::path& file) {
    return std::any_of(file.begin(), file.end(), [](const fs::path& part) {
        const std::string& name = part.native();
        return name == "https:" || name == "http:" || name == "ssh:" || name == "git:" || name == "oci:" ||
               name.starts_with("git@");
    });
}

/// As Go's strconv.ParseBool has it; empty is false.
bool is_true(const std::string& text) {
    for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"})
        if (text == yes)
            return true;
    for (const std::string_view no : {"", "0", "f", "F", "FALSE", "false", "False"})
        if (text == no)
            return false;
    throw error(
        error_kind::invalid, fmt::format("COMPOSE_DISABLE_ENV_FILE is \"{}\"; write true or false", text));
}

} // namespace

std::string read_project_file(const fs::path& file) {
    const auto fail = [&](std::string what) {
        throw_load_error({.file = std::make_shared<const std::string>(file.native())}, {}, std::move(what));
    };
    std::error_code none;
    if (!fs::exists(file, none))
        fail(is_remote(file) ? "files of other hosts are not read; fetch it, and name it by its place here"
                             : "no such file");
    if (fs::is_directory(file, none))
        fail("is a folder, not a file");
    std::ifstream stream(file, std::ios::binary);
    if (!stream)
        fail("cannot be read");
    std::string text;
    std::array<char, 64U << 10U> piece{};
    while (text.size() <= most_bytes && (stream.read(piece.data(), piece.size()) || stream.gcount() > 0))
        text.append(piece.data(), static_cast<std::size_t>(stream.gcount()));
    if (text.size() > most_bytes)
        fail(fmt::format("larger than {} bytes", most_bytes));
    return text;
}

std::string normalise_project_name(std::string_view name) {
    std::string result;
    for (const char c : name) {
        const char low = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        if (std::isalnum(static_cast<unsigned char>(low)) != 0 || low == '_' || low == '-')
            result += low;
    }
    result.erase(0, std::min(result.find_first_not_of("_-"), result.size()));
    return result;
}

void check_project_name(const std::string& name) {
    if (name.empty())
        throw error(error_kind::invalid, "project name must not be empty");
    if (normalise_project_name(name) != name)
        throw error(error_kind::invalid,
            fmt::format(
                "invalid project name \"{}\": must consist only of lowercase alphanumeric characters, "
                "hyphens, and underscores as well as start with a letter or number",
                name));
}

project_files find_project_files(const load_options& options) {
    project_files found;
    const fs::path& here = options.working_directory;
    const auto process = [&](const std::string& name) {
        const auto value = options.environment.find(name);
        return value == options.environment.end() ? std::string() : value->second;
    };
    const auto absolute = [&](const std::string& path) {
        const fs::path whole = (here / path).lexically_normal();
        return whole.has_filename() ? whole : whole.parent_path(); // "folder/" is the folder
    };

    // COMPOSE_FILE may itself stand in the .env of the working directory, so that is read first.
    std::vector<std::string> env_files = options.env_files;
    if (std::find(env_files.begin(), env_files.end(), "") != env_files.end())
        throw error(error_kind::invalid, "--env-file is given an empty name; write --env-file FILE");
    if (env_files.empty())
        env_files = split_names(process("COMPOSE_ENV_FILES"), ",");
    std::erase(env_files, "");
    for (const std::string& file : env_files)
        add_env_file(absolute(file), found, options.environment, true);
    const bool env_file_given = !env_files.empty();
    bool disabled = is_true(process("COMPOSE_DISABLE_ENV_FILE"));
    const auto add_default = [&](const fs::path& folder) {
        const bool wanted = !env_file_given && !disabled;
        if (std::error_code none; wanted && fs::is_regular_file(folder / ".env", none))
            add_env_file(
                folder / ".env", found, options.environment, false); // that of the nearest folder holds
    };
    fs::path first = here;
    if (!options.project_directory.empty())
        first = absolute(options.project_directory);
    else if (!options.files.empty() && options.files.front() != "-")
        first = absolute(options.files.front()).parent_path(); // that of the working directory is another's
    add_default(first);

    const auto variable = [&](const std::string& name) {
        const std::string own = process(name);
        return own.empty() && found.variables.contains(name) ? found.variables.at(name) : own;
    };
    if (!env_file_given && is_true(variable("COMPOSE_DISABLE_ENV_FILE")) && !disabled) {
        // It may say so itself: then it holds for Compose alone.
        disabled = true;
        std::erase_if(found.variables, [](const auto& each) { return !each.first.starts_with("COMPOSE_"); });
    }
    std::vector<std::string> names = options.files;
    if (names.empty()) {
        const std::string separator = variable("COMPOSE_PATH_SEPARATOR");
        names = split_names(variable("COMPOSE_FILE"), separator.empty() ? ":" : separator);
        if (std::find(names.begin(), names.end(), "") != names.end())
            throw error(error_kind::invalid,
                fmt::format("COMPOSE_FILE is \"{}\", which has an empty name of a file; write NAME{}NAME",
                    variable("COMPOSE_FILE"), separator.empty() ? ":" : separator));
    }
    for (const std::string& name : names)
        found.files.push_back(name == "-" ? fs::path("-") : absolute(name));
    if (names.empty())
        discover(options.project_directory.empty() ? here : absolute(options.project_directory), found);
    if (!options.project_directory.empty())
        found.directory = absolute(options.project_directory);
    else
        found.directory = found.files.front() == "-" ? here : found.files.front().parent_path();
    if (found.directory != first)
        add_default(found.directory);
    for (const auto& [name, value] : options.environment)
        found.variables[name] = value;
    return found;
}

std::vector<std::string> split_names(std::string_view text, std::string_view separator) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const auto end = text.find(separator);
        parts.emplace_back(text.substr(0, end));
        if (end != std::string_view::npos && end + separator.size() == text.size())
            parts.emplace_back();
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + separator.size());
    }
    return parts;
}

std::optional<std::string> project_name_without_file(const load_options& options) {
    std::string name = options.project_name;
    if (name.empty())
        if (const auto found = options.environment.find("COMPOSE_PROJECT_NAME");
            found != options.environment.end())
            name = found->second;
    if (name.empty())
        return std::nullopt;
    check_project_name(name);
    return name;
}

} // namespace compose
