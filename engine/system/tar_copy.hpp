#pragma once

#include "engine/system/fd.hpp"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// What a copy did not take along, for people; names are made printable.
class left_out {
  public:
    void add(std::string_view path, std::string_view why);
    /// "run/agent.sock: a socket", the first twenty, and then how many others there are.
    std::vector<std::string> told() const;

  private:
    std::vector<std::string> first_;
    std::uint64_t count_ = 0;
};

/// Writes what is at `path` inside `root` into `to` as a tar archive whose one entry at the top is called
/// `name`: files with their gaps and attributes, folders, links of both kinds, pipes and devices. Sockets are
/// left out, and of what is mounted below by the kernel (proc, sysfs, cgroups …, the devices at /dev) only
/// the folder is there. Links lead nowhere but into `root`; one that is `path` itself is followed with
/// `follow`, others never. `first_id`: what is 0 in the archive. Blocks. Throws error: not_found, and invalid
/// for a `path` that is itself left out.
left_out pack_tree(const std::filesystem::path& root, const std::string& path, bool follow,
    const std::string& name, const unique_fd& to, uid_t first_id = 0);

struct unpack_options {
    /// The archive as it is into the folder `path`; else it is one thing that is copied as cp(1) does: into
    /// the folder `path`, or in place of what is there, or with that as its name.
    bool whole = false;
    bool contents = false; // what is in that one thing, a folder, in place of itself
    bool owners = false;   // those of the archive; else the ones below
    /// Devices, set-user-id bits and capabilities of files too: where these come from somebody else they
    /// give everybody here what only their maker may have.
    bool privileges = false;
    uid_t user = 0;
    gid_t group = 0;
    uid_t first_id = 0; // what all of these ids count from
};

/// Unpacks a tar archive into `root`, which nothing of it leaves (tree_writer.hpp). Devices that may not be
/// made are left out. Blocks. Throws error: not_found when the folder to put it into is not there.
left_out unpack_tree(const std::filesystem::path& root, const std::string& path, const unique_fd& from,
    const unpack_options& how);

} // namespace engine
