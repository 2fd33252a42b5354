#pragma once

#include "compose/load/node.hpp"
#include "compose/model/project.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace compose {

/// What the env_file entries of a service say; the loader reads them.
struct env_file_entry {
    std::string path;
    bool required = true;
    bool raw = false;
    position at;
};

/// A project as the tree says it, before names, defaults and paths are filled in.
struct decoded {
    project value;
    bool has_version = false;
    std::map<std::string, std::vector<env_file_entry>> env_files; // by service
    std::map<std::string, position> services_at;                  // where each service begins
};

/// Turns a merged, interpolated tree into values and collects everything that is wrong with it.
class decoder {
  public:
    explicit decoder(std::vector<diagnostic>& wrong) : wrong_(wrong) {}

    decoded run(const node& tree);

    // Readers of single values: what is not of their kind is told and left out.
    void fail(const node& at, const std::string& path, std::string message);
    std::string text(const node& from, const std::string& path);
    std::optional<bool> boolean(const node& from, const std::string& path);
    std::optional<std::int64_t> integer(const node& from, const std::string& path);
    std::optional<std::int64_t> bytes(const node& from, const std::string& path);
    std::optional<std::chrono::nanoseconds> duration(const node& from, const std::string& path);
    std::vector<std::string> texts(const node& from, const std::string& path);
    /// A string or a list of strings.
    std::vector<std::string> text_or_texts(const node& from, const std::string& path);
    /// A mapping or a list of KEY=VALUE; a value that is null or missing is nothing.
    std::map<std::string, std::optional<std::string>> pairs(const node& from, const std::string& path);
    std::map<std::string, std::string> labels(const node& from, const std::string& path);
    bool expect(const node& from, node_kind kind, const std::string& path);
    /// Tells a key that is none of `known`, with the nearest of them.
    void unknown(const node& at, const std::string& path, std::string_view key,
        const std::vector<std::string_view>& known, const std::vector<std::string_view>& later = {});

    /// Reads a mapping by a table of keys. x-* is passed over.
    template <typename Target>
    struct field {
        std::string_view name;
        void (*read)(decoder& by, const node& from, const std::string& path, Target& into);
    };
    template <typename Target, std::size_t Size>
    void keys(const node& from, const std::string& path, Target& into, const field<Target> (&table)[Size],
        const std::vector<std::string_view>& later = {});

  private:
    service service_of(const node& from, const std::string& path, decoded& into, const std::string& name);
    network network_of(const node& from, const std::string& path);
    volume volume_of(const node& from, const std::string& path);

    std::vector<diagnostic>& wrong_;
};

template <typename Target, std::size_t Size>
void decoder::keys(const node& from, const std::string& path, Target& into,
    const field<Target> (&table)[Size], const std::vector<std::string_view>& later) {
    if (!expect(from, node_kind::map, path))
        return;
    for (const auto& [name, value] : from.entries) {
        const field<Target>* found = nullptr;
        for (const field<Target>& candidate : table)
            if (candidate.name == name)
                found = &candidate;
        if (found != nullptr) {
            if (!value.is_null())
                found->read(*this, value, child_path(path, name), into);
            continue;
        }
        if (name.starts_with("x-"))
            continue;
        std::vector<std::string_view> known;
        for (const field<Target>& candidate : table)
            known.push_back(candidate.name);
        unknown(value, child_path(path, name), name, known, later);
    }
}

/// What a service's keys are read into.
struct service_target {
    service& value;
    std::vector<env_file_entry>& env_files;
};

/// Reads the keys of a service; decode_service.cpp has the table.
void decode_service(decoder& by, const node& from, const std::string& path, service_target& into);

/// A YAML value as JSON text: what x-* keys are kept as.
std::string json_of(const node& from);

} // namespace compose
