#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace engine {

/// How the host's cgroups are mounted: by the file system at /sys/fs/cgroup, not by what else exists below
/// it.
enum class cgroup_mode {
    unified, // v2
    hybrid,  // v1 controllers, and a v2 hierarchy at /sys/fs/cgroup/unified
    legacy,  // v1 only
};

cgroup_mode detect_cgroup_mode(const std::filesystem::path& root = "/sys/fs/cgroup");

/// One container's cgroup: `path` below the root of every hierarchy, e.g. "composed/ID".
class container_cgroup {
  public:
    container_cgroup(cgroup_mode mode, std::string path, std::filesystem::path root = "/sys/fs/cgroup");

    /// The file with the line "oom_kill N".
    std::filesystem::path oom_file() const;

    /// Freezes or thaws all processes, and waits up to 1 s until they are. Throws error{not_found} when there
    /// is no such cgroup, error{unavailable} when it does not get there; it is thawed again then.
    void freeze(bool frozen) const;

    /// Writes a file of one controller; an empty value: what the cgroup above has. Throws error.
    void write(const std::string& controller, const std::string& file, std::string value) const;

    /// Bytes of memory that cannot be taken from its processes without ending one; cgroup v2.
    std::int64_t memory_held() const;

    /// Whether its processes are frozen.
    bool is_frozen() const;

    /// All processes in it and in what is below.
    std::vector<int> processes() const;

    /// The names of the cgroups right below it, in whichever hierarchy.
    std::set<std::string> children() const;

    /// Kills everything in it and removes it from all hierarchies. False when processes remain after 2 s
    /// (stuck in the kernel). Blocks.
    bool destroy() const;

    /// Removes it where nothing is in it, neither processes nor further cgroups; leaves it as it is
    /// elsewhere.
    void remove_if_empty() const;

    /// Its folder in the hierarchy of a v1 controller; of the one hierarchy there is with v2.
    std::filesystem::path folder(const std::string& controller) const;
    cgroup_mode mode() const noexcept { return mode_; }

  private:
    std::vector<std::filesystem::path> folders() const;

    cgroup_mode mode_;
    std::string path_;
    std::filesystem::path root_;
};

} // namespace engine
