#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>

namespace engine {

class store;

/// Where on this host something was mounted when a container had a folder of it (table::mount, key: the mount
/// point). It outlives containers and projects: a stack that is brought up while the disk is missing would
/// find, or make, the empty folder beneath and take it for lost data. At most the last thousand are kept.
/// Engine state: used on the engine's thread only.
class known_mounts {
  public:
    explicit known_mounts(store& records);

    const std::set<std::filesystem::path>& all() const noexcept { return points_; }

    /// That a container has a folder of it. Of / there is nothing to know.
    void learn(const std::filesystem::path& point);

    /// The folder beneath it is meant from now on.
    void forget(const std::filesystem::path& point);

  private:
    store& records_;
    std::set<std::filesystem::path> points_;
    std::map<std::string, std::filesystem::path> since_; // RFC 3339 and the point, oldest first
};

/// Throws error{not_found}, beginning with `what`, when the disk of a folder of the host is not mounted that
/// fstab or one of `known` says to be. Blocks.
void check_disk_of(const std::filesystem::path& source, const std::set<std::filesystem::path>& known,
    const std::string& what);

} // namespace engine
