#include "engine/volume/secret_store.hpp"

#include "compose/model/error.hpp"
#include "engine/store/store.hpp"
#include "engine/system/identifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace engine {

using compose::error;
using compose::error_kind;
namespace json = boost::json;

namespace {

constexpr int format_version = 1;

bool is_name(const std::string& name) {
    constexpr std::string_view taken = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    constexpr std::size_t most = 255;
    return !name.empty() && name.size() <= most && name.find_first_not_of(taken) == std::string::npos;
}

/// The record's key, and what its seal is about: one put in the place of another does not open.
std::string record_key(const content_key& of) {
    return of.project.empty()
               ? fmt::format("/{}/{}", to_string(of.kind), of.name)
               : fmt::format("{}/{}/{}/{}", of.project, to_string(of.kind), of.name, of.digest);
}

std::string name_of(const content_key& of) {
    return of.project.empty()
               ? fmt::format("{} \"{}\"", to_string(of.kind), of.name)
               : fmt::format("{} \"{}\" of project \"{}\"", to_string(of.kind), of.name, of.project);
}

/// Throws error{invalid} for what is no key of ours.
content_key parse_key(const std::string& key) {
    std::vector<std::string> parts(1);
    for (const char c : key) {
        if (c == '/')
            parts.emplace_back();
        else
            parts.back() += c;
    }
    const bool external = parts.front().empty();
    if (parts.size() != (external ? 3U : 4U) || (parts[1] != "secret" && parts[1] != "config"))
        throw error(
            error_kind::invalid, fmt::format("read secret \"{}\" from the store: what is this?", key));
    return {.project = parts[0],
        .kind = parts[1] == "secret" ? content_kind::secret : content_kind::config,
        .name = parts[2],
        .digest = external ? std::string() : parts[3]};
}

std::vector<compose::content_reference>& references(compose::service& of, content_kind kind) {
    return kind == content_kind::secret ? of.secrets : of.configs;
}

std::map<std::string, compose::content_source>& sources(compose::project& of, content_kind kind) {
    return kind == content_kind::secret ? of.secrets : of.configs;
}

/// What creates one, for messages.
std::string_view command_of(content_kind kind) {
    return kind == content_kind::secret ? "compose secret" : "compose configs";
}

[[noreturn]] void fail_missing(const content_key& of) {
    if (of.project.empty())
        throw error(error_kind::not_found,
            fmt::format(
                "{0} {1} declared as external, but could not be found; make it with: {2} create {1} FILE",
                to_string(of.kind), of.name, command_of(of.kind)));
    throw error(error_kind::invalid,
        fmt::format(
            "{}: its content is neither here nor in the request; bring the stack up again from its files",
            name_of(of)));
}

} // namespace

std::string_view to_string(content_kind kind) noexcept {
    return kind == content_kind::secret ? "secret" : "config";
}

secret_store::secret_store(store& records, std::filesystem::path key_file)
    : store_(records), sealer_(std::move(key_file), [this] {
          const std::vector<record> rows = store_.load(table::secret);
          for (const record& row : rows) {
              const content_key key = parse_key(row.key);
              if (!key.project.empty()) {
                  kept_.emplace(key, 0);
                  continue;
              }
              const json::value parsed = json::parse(row.value);
              external_content made{.name = key.name,
                  .created = std::string(parsed.at("created").as_string()),
                  .labels = json::value_to<std::map<std::string, std::string>>(parsed.at("labels")),
                  .digest = std::string(parsed.at("digest").as_string())};
              external_.emplace(std::pair(key.kind, key.name), std::move(made));
          }
          return !rows.empty();
      }()) {}

std::string secret_store::digest_for(content_kind kind, const std::string& project, const std::string& key,
    compose::content_source& from, bool keep) {
    const std::string about = fmt::format("{}/{}/{}", project, to_string(kind), key);
    content_key of{
        .project = project, .kind = kind, .name = key, .digest = sealer_.digest(from.content->bytes, about)};
    if (keep) {
        const bool spoilt = unopened_.erase(of) > 0;
        if (!kept_.contains(of) || spoilt) {
            const std::string whole = record_key(of);
            const std::string sealed = sealer_.seal(from.content->bytes, whole);
            store_.put(table::secret, whole,
                json::serialize(json::object{{"v", format_version}, {"sealed", sealed}}));
        }
        kept_[of] = ++taken_;
    }
    return of.digest;
}

/// `keep`: it is referred to anew.
bool secret_store::is_kept(const content_key& of, bool keep) {
    const auto found = kept_.find(of);
    if (found != kept_.end() && keep)
        found->second = ++taken_;
    return found != kept_.end();
}

void secret_store::take(
    content_kind kind, compose::project& from, const std::set<std::string>& services, bool keep) {
    std::map<std::string, std::string> digests; // by key in the project
    for (auto& [key, source] : sources(from, kind)) {
        if (source.external) {
            if (const external_content* there = find(kind, source.name))
                digests[key] = there->digest;
        } else if (source.content) {
            digests[key] = digest_for(kind, from.name, key, source, keep);
        }
        if (source.content)
            wipe(source.content->bytes);
        source.content.reset();
    }
    const auto refer = [&](compose::content_reference& each, bool needed) {
        if (const auto found = digests.find(each.source); found != digests.end())
            each.digest = found->second;
        else if (const content_key meant = key_of(from, kind, each); !is_kept(meant, keep)) {
            if (needed)
                fail_missing(meant);
            each.digest.clear();
        }
    };
    for (auto& [name, service] : from.services)
        for (compose::content_reference& each : references(service, kind))
            refer(each, services.contains(name));
    for (auto& [name, service] : from.disabled_services)
        for (compose::content_reference& each : references(service, kind))
            refer(each, false);
}

void secret_store::take_contents(compose::project& from, const std::set<std::string>& services, bool keep) {
    for (const content_kind kind : {content_kind::secret, content_kind::config})
        take(kind, from, services, keep);
}

task<std::string> secret_store::content(content_key of) {
    const std::string whole = record_key(of);
    const std::vector<record> rows = co_await store_.find(table::secret, whole);
    unopened_.insert(of); // unless it does
    const auto found =
        std::find_if(rows.begin(), rows.end(), [&](const record& row) { return row.key == whole; });
    if (found == rows.end())
        throw error(error_kind::not_found,
            fmt::format("{}: its content is not kept any more; bring the stack up again from its files",
                name_of(of)));
    const json::value parsed = json::parse(found->value);
    std::string plain = sealer_.open(std::string(parsed.at("sealed").as_string()), whole, name_of(of));
    unopened_.erase(of);
    co_return plain;
}

void secret_store::create(content_kind kind, const std::string& name,
    std::map<std::string, std::string> labels, std::string content) {
    if (!is_name(name))
        throw error(error_kind::invalid,
            fmt::format("{} \"{}\": a name has letters, digits, _ . -, and up to 255 of them",
                to_string(kind), name));
    if (find(kind, name) != nullptr)
        throw error(error_kind::conflict,
            fmt::format(
                "{0} \"{1}\" is there already, and cannot be changed; remove it with: {2} rm {1}, or take "
                "another name",
                to_string(kind), name, command_of(kind)));
    if (content.size() > compose::most_content)
        throw error(error_kind::exhausted,
            fmt::format("{} \"{}\" has more than {} KiB, which is the most that fits; use a volume instead",
                to_string(kind), name, compose::most_content >> 10U));
    const content_key key{.project = {}, .kind = kind, .name = name, .digest = {}};
    const std::string whole = record_key(key);
    external_content made{.name = name,
        .created = timestamp_now(),
        .labels = std::move(labels),
        .digest = sealer_.digest(content, whole)};
    const std::string sealed = sealer_.seal(content, whole);
    wipe(content);
    store_.put(table::secret, whole,
        json::serialize(json::object{{"v", format_version}, {"created", made.created},
            {"labels", json::value_from(made.labels)}, {"digest", made.digest}, {"sealed", sealed}}));
    external_.emplace(std::pair(kind, name), std::move(made));
}

void secret_store::remove(content_kind kind, const std::string& name) {
    if (external_.erase({kind, name}) == 0)
        throw error(error_kind::not_found,
            fmt::format("{} \"{}\": there is none of that name", to_string(kind), name));
    store_.erase(table::secret, record_key({.project = {}, .kind = kind, .name = name, .digest = {}}));
}

const external_content* secret_store::find(content_kind kind, const std::string& name) const {
    const auto found = external_.find({kind, name});
    return found == external_.end() ? nullptr : &found->second;
}

std::vector<external_content> secret_store::list(content_kind kind) const {
    std::vector<external_content> all;
    for (const auto& [key, each] : external_)
        if (key.first == kind)
            all.push_back(each);
    return all;
}

void secret_store::collect(
    const std::string& project, const std::set<content_key>& referred, std::uint64_t since) {
    std::erase_if(kept_, [&](const auto& entry) {
        const auto& [key, taken] = entry;
        if (key.project != project || taken > since || referred.contains(key))
            return false;
        store_.erase(table::secret, record_key(key));
        return true;
    });
}

std::set<std::string> secret_store::projects() const {
    std::set<std::string> names;
    for (const auto& [key, taken] : kept_)
        names.insert(key.project);
    return names;
}

content_key key_of(
    const compose::project& project, content_kind kind, const compose::content_reference& reference) {
    const auto& all = kind == content_kind::secret ? project.secrets : project.configs;
    const auto source = all.find(reference.source);
    if (source != all.end() && source->second.external)
        return {.project = {}, .kind = kind, .name = source->second.name, .digest = {}};
    return {.project = project.name, .kind = kind, .name = reference.source, .digest = reference.digest};
}

std::set<content_key> contents_of(const compose::project& project) {
    std::set<content_key> all;
    for (const auto* services : {&project.services, &project.disabled_services})
        for (const auto& [name, service] : *services) {
            for (const compose::content_reference& each : service.secrets)
                all.insert(key_of(project, content_kind::secret, each));
            for (const compose::content_reference& each : service.configs)
                all.insert(key_of(project, content_kind::config, each));
        }
    return all;
}

} // namespace engine
