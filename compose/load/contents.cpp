#include "compose/load/contents.hpp"

#include "compose/model/error.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace compose {

namespace json = boost::json;

namespace {

[[noreturn]] void fail_file(const std::string& what, const std::string& path, const std::string& why) {
    throw error(error_kind::not_found,
        fmt::format("{}: read file \"{}\": {}; make it, or name another", what, path, why));
}

} // namespace

std::string read_content_file(const std::string& what, const std::string& path, file_kinds taken) {
    const bool pipes = taken == file_kinds::pipes_too;
    // Nobody may ever write into a pipe, which the daemon must not wait for.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | (pipes ? 0 : O_NONBLOCK));
    if (file < 0)
        fail_file(what, path, std::strerror(errno));
    struct stat status {};
    std::string bytes(most_content + 1, '\0');
    std::size_t size = 0;
    std::string failure;
    if (::fstat(file, &status) != 0 || S_ISDIR(status.st_mode))
        failure = std::strerror(EISDIR);
    else if (!pipes && !S_ISREG(status.st_mode))
        failure = "it is no regular file";
    while (failure.empty() && size < bytes.size()) {
        const ssize_t got = ::read(file, bytes.data() + size, bytes.size() - size);
        if (got == 0)
            break;
        if (got > 0)
            size += static_cast<std::size_t>(got);
        else if (errno != EINTR)
            failure = std::strerror(errno);
    }
    ::close(file);
    if (!failure.empty())
        fail_file(what, path, failure);
    bytes.resize(size);
    return bytes;
}

namespace {

void read_content(std::string_view kind, const std::string& key, content_source& from,
    const std::map<std::string, std::string>& variables) {
    const std::string what = fmt::format("{} \"{}\"", kind, key);
    if (!from.file.empty()) {
        from.content = binary{read_content_file(what, from.file, file_kinds::regular)};
    } else if (!from.environment.empty()) {
        const auto found = variables.find(from.environment);
        if (found == variables.end())
            throw error(error_kind::not_found,
                fmt::format("{}: environment variable \"{}\" is not set; set it, or write it into .env", what,
                    from.environment));
        from.content = binary{found->second};
    }
    if (from.content && from.content->bytes.size() > most_content)
        throw error(error_kind::exhausted,
            fmt::format("{}: {} has more than {} KiB, which is the most that fits; mount a volume instead",
                what,
                !from.file.empty()          ? fmt::format("file \"{}\"", from.file)
                : !from.environment.empty() ? fmt::format("environment variable \"{}\"", from.environment)
                                            : "its content",
                most_content >> 10U));
}

/// Told here, where the file's name is known: the daemon gets what is in it.
void check_profile(const std::string& what, const std::string& path, const std::string& text) {
    boost::system::error_code failed;
    const json::value parsed = json::parse(text, failed);
    const json::object* profile = failed ? nullptr : parsed.if_object();
    std::string why = failed ? "it is no JSON: " + failed.message() : std::string();
    if (!failed && (profile == nullptr || !profile->contains("defaultAction")))
        why = "it has no \"defaultAction\"";
    else if (const json::value* rules = failed ? nullptr : profile->if_contains("syscalls");
             rules != nullptr && !rules->is_array() && !rules->is_null())
        why = "its \"syscalls\" are no list";
    if (!why.empty())
        throw error(error_kind::invalid, fmt::format("{}: file \"{}\" is no profile: {}", what, path, why));
}

/// seccomp=FILE becomes the profile itself, which the daemon keeps with the service.
void read_profiles(service& of, const std::string& folder) {
    constexpr std::string_view key = "seccomp=";
    for (std::string& option : of.security_opt) {
        if (option.starts_with("seccomp:"))
            option[key.size() - 1] = '=';
        const std::string path = option.starts_with(key) ? option.substr(key.size()) : std::string();
        if (path.empty() || path == "unconfined" || path.starts_with('{'))
            continue;
        const std::string what = fmt::format("services.{}.security_opt: seccomp", of.name);
        const std::filesystem::path file = std::filesystem::path(folder) / path;
        const std::string profile = read_content_file(what, file, file_kinds::regular);
        check_profile(what, file, profile);
        option = std::string(key) + profile;
    }
}

} // namespace

namespace {

/// Those of its secrets or configs that services use; of whom `needed` says that it must be there.
void read_used(std::string_view kind, std::map<std::string, content_source>& all,
    const std::map<std::string, bool>& needed, const std::map<std::string, std::string>& variables) {
    for (auto& [key, from] : all) {
        const auto use = needed.find(key);
        if (from.external || use == needed.end())
            continue;
        try {
            read_content(kind, key, from, variables);
        } catch (const error&) {
            if (use->second)
                throw;
        }
    }
}

void add_dependencies(const project& of, const std::string& name, std::set<std::string>& into) {
    const auto found = of.services.find(name);
    if (found == of.services.end() || !into.insert(name).second)
        return;
    for (const auto& [other, how] : found->second.depends_on)
        add_dependencies(of, other, into);
}

} // namespace

std::set<std::string> chosen_services(
    const project& of, const std::vector<std::string>& named, bool dependencies) {
    std::set<std::string> chosen;
    if (named.empty())
        for (const auto& [name, service] : of.services)
            chosen.insert(name);
    for (const std::string& name : named)
        if (dependencies)
            add_dependencies(of, name, chosen);
        else
            chosen.insert(name);
    return chosen;
}

void read_contents(
    project& of, const std::map<std::string, std::string>& variables, const std::set<std::string>& services) {
    std::map<std::string, bool> secrets; // those that are used: whether by one of `services`
    std::map<std::string, bool> configs;
    for (auto& [name, service] : of.services) {
        const bool chosen = services.contains(name);
        for (const content_reference& each : service.secrets)
            secrets[each.source] |= chosen;
        for (const content_reference& each : service.configs)
            configs[each.source] |= chosen;
        try {
            read_profiles(service, of.working_dir);
        } catch (const error&) {
            if (chosen)
                throw;
        }
    }
    read_used("secret", of.secrets, secrets, variables);
    read_used("config", of.configs, configs, variables);
}

void read_contents(project& of, const std::map<std::string, std::string>& variables) {
    read_contents(of, variables, chosen_services(of, {}, true));
}

} // namespace compose
