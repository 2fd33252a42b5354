#pragma once

#include "engine/system/blocking.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace engine {

class known_mounts;
class store;

/// A volume as it was asked for.
struct volume_definition {
    std::string name; // on this host
    std::string project;
    std::string key; // in the project's file; empty for an anonymous volume
    std::map<std::string, std::string> driver_opts;
    std::map<std::string, std::string> labels;

    bool operator==(const volume_definition&) const = default;
};

/// A volume as it is kept in the store (table::volume, key: its name).
struct volume_record {
    volume_definition definition;
    std::string created;    // RFC 3339
    bool populated = false; // filled from an image, or used: never filled (again)
    bool removing = false;  // its folder goes, then this record
};

/// The named volumes of this engine. Owns FOLDER/NAME/_data. The record is durable before the folder is made
/// and goes after it; a folder is never removed but by remove(), which a crash may cut short: recover() ends
/// it. A volume with driver options (type, o, device) is a file system that is mounted at its _data while a
/// container holds it: the first mounts it, the last takes it away. Mounts outlive the daemon with the
/// containers that use them. Engine state: used on the engine's thread only.
class volume_store {
  public:
    volume_store(executors on, store& records, known_mounts& mounts, std::filesystem::path folder);
    ~volume_store();

    /// Makes it if there is none of that name. Throws error{invalid} for a bad name or a driver option that
    /// this host cannot honour.
    task<volume_record> create(volume_definition wanted);

    const volume_record* find(const std::string& name) const;
    std::vector<volume_record> list() const;

    /// Where its content is.
    std::filesystem::path path(const std::string& name) const;

    /// Has the volume ready for a container that is about to start, until release(). Throws error{invalid}
    /// when what its options name cannot be mounted.
    task<> hold(std::string name, std::string container);

    /// The container has ended: unmounts the volumes that only it held.
    task<> release(std::string container);

    /// After a start of the daemon: `holders` are the containers that run, with the names of their volumes.
    /// What an earlier daemon left mounted and nobody holds is unmounted.
    task<> recover(std::map<std::string, std::set<std::string>> holders);

    /// Fills a volume that was never used with what an image (layers topmost first) has at a path. Two
    /// containers that start on one volume at a time fill it once. Throws error{not_found} when its folder
    /// has disappeared: an empty one in its place would look like lost data.
    task<> populate(std::string name, std::vector<std::filesystem::path> layers, std::string path_in_image);

    /// Looks whether the folders of the volumes that were used are there; gives those of which that has
    /// changed since the last look.
    task<std::vector<volume_record>> check();

    /// Whether the volume was used and its folder has disappeared, by the last check().
    bool is_missing(const std::string& name) const;

    /// Where the volumes are.
    const std::filesystem::path& folder() const noexcept;

    /// With its content; that of a device or a folder named in its options stays. No error when there is
    /// none. Throws error{conflict} while a container holds it.
    task<> remove(std::string name);

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

/// What there is to say of a volume whose folder has disappeared.
std::string missing_volume(const std::string& name, const std::filesystem::path& folder);

/// Throws what create() throws for a definition that it would not take.
void check_volume(const volume_definition& wanted);

/// Throws error{invalid} unless the name is [a-zA-Z0-9][a-zA-Z0-9_.-]*.
void check_volume_name(const std::string& name);

} // namespace engine
