#pragma once

#include "engine/system/fd.hpp"

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace engine {

/// Writes what is at `path` inside `root` into `to` as a tar archive whose one entry at the top is called
/// `name`: files, folders and links; sockets, pipes and devices are left out. Links lead nowhere but into
/// `root`; one that is `path` itself is followed with `follow`, others never. `first_id`: what is 0 in the
/// archive. Blocks. Throws error{not_found}.
void pack_tree(const std::filesystem::path& root, const std::string& path, bool follow,
    const std::string& name, const unique_fd& to, uid_t first_id = 0);

struct unpack_options {
    /// The archive as it is into the folder `path`; else it is one thing that is copied as cp(1) does: into
    /// the folder `path`, or in place of what is there, or with that as its name.
    bool whole = false;
    bool contents = false; // what is in that one thing, a folder, in place of itself
    bool owners = false;   // those of the archive; else the ones below
    uid_t user = 0;
    gid_t group = 0;
    uid_t first_id = 0; // what all of these ids count from
};

/// Unpacks a tar archive into `root`, which nothing of it leaves (tree_writer.hpp). Devices, pipes and
/// sockets are left out. Blocks. Throws error: not_found when the folder to put it into is not there.
void unpack_tree(const std::filesystem::path& root, const std::string& path, const unique_fd& from,
    const unpack_options& how);

} // namespace engine
