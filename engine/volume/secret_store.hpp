#pragma once

#include "compose/model/project.hpp"
#include "engine/system/task.hpp"
#include "engine/volume/sealer.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

class store;

enum class content_kind { secret, config };

/// "secret", "config".
std::string_view to_string(content_kind kind) noexcept;

/// One that `compose secret create` or `compose configs create` has made, without what is in it.
struct external_content {
    std::string name;
    std::string created; // RFC 3339
    std::map<std::string, std::string> labels;
    std::string digest;
};

/// Which content is meant: of a project, or with an empty one, that the engine keeps by itself.
struct content_key {
    std::string project;
    content_kind kind = content_kind::secret;
    std::string name; // key in the project; of an external one its own
    std::string digest;

    auto operator<=>(const content_key&) const = default;
};

/// What is in the secrets and configs of this engine, sealed (table::secret, key PROJECT/KIND/NAME/DIGEST, of
/// an external one /KIND/NAME). What a project brings is kept while a container or a kept revision refers to
/// it: an earlier revision gets the content of its time. An external one is kept until it is removed, and
/// cannot change. Engine state: used on the engine's thread only. Writes are on their way to disk when a
/// function returns: `co_await store.durable()` before anybody is told.
class secret_store {
  public:
    secret_store(store& records, std::filesystem::path key_file);

    /// Takes what is in its secrets and configs out of the project, seals and keeps it (`keep`), and puts its
    /// digest where services refer to it. One that comes without content, as in an earlier revision, is found
    /// by the digest there. `services`: those that must have theirs. Throws error{not_found} for an external
    /// one that is not there, error{invalid} for one without content, error{unavailable} without a key.
    void take_contents(compose::project& from, const std::set<std::string>& services, bool keep);

    /// What is in one. Throws error{not_found} when it is not kept, error{unavailable} when it does not open.
    task<std::string> content(content_key of);

    /// Throws error{conflict} when there is one, error{invalid} for what is no name, error{exhausted} for too
    /// much.
    void create(content_kind kind, const std::string& name, std::map<std::string, std::string> labels,
        std::string content);
    /// Throws error{not_found}.
    void remove(content_kind kind, const std::string& name);
    const external_content* find(content_kind kind, const std::string& name) const;
    std::vector<external_content> list(content_kind kind) const;

    /// A collection: forgets what the project has and nobody refers to any more. What is taken after
    /// begin_collection() stays.
    std::uint64_t begin_collection() const noexcept { return taken_; }
    void collect(const std::string& project, const std::set<content_key>& referred, std::uint64_t since);

    /// The projects that have something here.
    std::set<std::string> projects() const;

  private:
    bool is_kept(const content_key& of, bool keep);
    void take(content_kind kind, compose::project& from, const std::set<std::string>& services, bool keep);
    std::string digest_for(content_kind kind, const std::string& project, const std::string& key,
        compose::content_source& from, bool keep);

    store& store_;
    std::map<content_key, std::uint64_t> kept_; // when it was taken last
    std::set<content_key> unopened_;            // sealed anew when the project brings them again
    std::map<std::pair<content_kind, std::string>, external_content> external_;
    std::uint64_t taken_ = 0;
    sealer sealer_;
};

/// What the services of a project refer to.
std::set<content_key> contents_of(const compose::project& project);

/// The one that a reference of a service of `project` means.
content_key key_of(
    const compose::project& project, content_kind kind, const compose::content_reference& reference);

} // namespace engine
