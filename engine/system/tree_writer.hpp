#pragma once

#include "engine/system/fd.hpp"

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace engine {

/// Owner, mode and times of something that is made.
struct tree_attributes {
    mode_t mode = 0;
    uid_t user = 0;
    gid_t group = 0;
    timespec modified{};
    std::map<std::string, std::string> extended; // xattr name -> value
};

/// Makes a tree beneath one folder out of names that cannot be trusted. No name, link or race leads outside:
/// every path is resolved by the kernel with the folder as its root (openat2 RESOLVE_IN_ROOT), files are made
/// with O_EXCL and O_NOFOLLOW, attributes go through descriptors. What is in the way of an entry is removed
/// first, except a folder in the way of a folder. Paths are relative, without "." and "..". Throws error
/// naming the path.
class tree_writer {
  public:
    explicit tree_writer(const std::filesystem::path& folder);

    void make_folder(const std::string& path, const tree_attributes& how);
    /// The file is open for writing; close it by finish_file().
    unique_fd begin_file(const std::string& path);
    void finish_file(unique_fd file, const std::string& path, const tree_attributes& how);
    void make_symlink(const std::string& path, const std::string& target, const tree_attributes& how);
    void make_hard_link(const std::string& path, const std::string& target);
    /// Another name of what was opened, O_PATH will do. False where that is on another file system.
    bool try_hard_link(const std::string& path, const unique_fd& target);
    /// A device, fifo or socket node; `type` is S_IFCHR and so on.
    void make_node(const std::string& path, mode_t type, dev_t device, const tree_attributes& how);
    /// The same. False where this process may not make it.
    bool try_node(const std::string& path, mode_t type, dev_t device, const tree_attributes& how);

    /// overlayfs: hides what lower layers have at the path, or below the folder.
    void make_whiteout(const std::string& path);
    void make_opaque(const std::string& folder);

    bool exists(const std::string& path) const;

    /// Sets the folders' times, which making their content has moved. Once, at the end.
    void finish();

    /// Folders that were made only because something is in them: what they are like is for a lower layer to
    /// say.
    const std::set<std::string>& implicit_folders() const noexcept { return implicit_; }

    /// Gives the folder at `path` the owner, mode and times that `lower` (a layer below) has at that path.
    /// False when that layer says nothing about it and the next one below is to be asked.
    bool copy_folder_attributes(const std::string& path, const std::filesystem::path& lower);

  private:
    struct place {
        int parent = -1; // borrowed from the cache
        std::string name;
    };
    place locate(const std::string& path);
    unique_fd open_beneath(const std::string& path, int flags) const;
    void clear(const place& at) const;
    /// Where a link leads, inside the folder; nothing when it is none.
    std::optional<std::string> link_target(const place& at, const std::string& path);

    unique_fd root_;
    std::string folder_;
    std::string cached_path_; // of the last parent: archives are in the order of their folders
    unique_fd cached_;
    std::set<std::string> implicit_;
    int followed_ = 0; // links resolved for the entry at hand
    std::map<std::string, timespec> folder_times_;
};

/// Those that mean the same in another tree: user.*, access lists, capabilities of files. Not those in which
/// overlayfs keeps its books, which would change what lower layers show.
bool is_portable_attribute(std::string_view name);
std::map<std::string, std::string> portable_attributes(const unique_fd& of, const std::string& path);

/// Opens a regular file inside `folder` for reading; links lead nowhere but into it. Throws error naming
/// both.
unique_fd open_inside(const std::filesystem::path& folder, const std::string& path);

/// Writes back all dirty data of the file system that `folder` is on.
void flush_file_system(const std::filesystem::path& folder);

/// Removes a tree without crossing into other mounts. No error when there is none.
void remove_tree(const std::filesystem::path& folder);

} // namespace engine
