#include "engine/system/tree_writer.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

namespace engine {

namespace {

constexpr mode_t mode_bits = 07777;
constexpr int most_links = 40;
constexpr int folder_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

int open_in_root(int root, const char* path, int flags) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    return static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof(how)));
}

void remove_at(int parent, const std::string& name, dev_t device);

struct listing_closer {
    void operator()(DIR* listing) const noexcept { ::closedir(listing); }
};

void remove_content(int folder, dev_t device) {
    const std::unique_ptr<DIR, listing_closer> listing(::fdopendir(::fcntl(folder, F_DUPFD_CLOEXEC, 0)));
    if (!listing)
        return;
    while (const dirent* entry = ::readdir(listing.get())) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..")
            remove_at(folder, name, device);
    }
}

void remove_at(int parent, const std::string& name, dev_t device) {
    if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT)
        return;
    if (errno != EISDIR && errno != EPERM)
        throw_errno("remove", name);
    const unique_fd folder(::openat(parent, name.c_str(), folder_flags | O_NOFOLLOW));
    struct stat status {};
    if (folder && ::fstat(folder.get(), &status) == 0 && status.st_dev == device)
        remove_content(folder.get(), device);
    if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
        throw_errno("remove", name);
}

// chown clears the set-user-id bits, and security.capability goes with it: so the order is owner, mode,
// attributes.
void apply(int fd, const std::string& path, const tree_attributes& how) {
    if (::fchown(fd, how.user, how.group) != 0)
        throw_errno("set the owner of", path);
    if (::fchmod(fd, how.mode & mode_bits) != 0)
        throw_errno("set the mode of", path);
    for (const auto& [name, value] : how.extended)
        if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0 && errno != EOPNOTSUPP)
            throw_errno(fmt::format("set the attribute {} of", name), path);
    const std::array<timespec, 2> times{how.modified, how.modified};
    ::futimens(fd, times.data());
}

void apply_to_link(int parent, const std::string& name, const tree_attributes& how) {
    if (::fchownat(parent, name.c_str(), how.user, how.group, AT_SYMLINK_NOFOLLOW) != 0)
        throw_errno("set the owner of", name);
    const std::array<timespec, 2> times{how.modified, how.modified};
    ::utimensat(parent, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);
}

/// Nodes cannot be opened without effects, and who else writes to the folder may put a link in the place of
/// one that was just made: so by a descriptor that is no more than the place.
void apply_to_node(int parent, const std::string& name, mode_t type, const tree_attributes& how) {
    const unique_fd node(::openat(parent, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!node || ::fstat(node.get(), &status) != 0)
        throw_errno("look at", name);
    if ((status.st_mode & S_IFMT) != type)
        throw compose::error(
            compose::error_kind::conflict, fmt::format("\"{}\" was replaced while it was made", name));
    const std::string by_fd = fmt::format("/proc/self/fd/{}", node.get());
    if (::fchownat(node.get(), "", how.user, how.group, AT_EMPTY_PATH) != 0)
        throw_errno("set the owner of", name);
    if (::chmod(by_fd.c_str(), how.mode & mode_bits) != 0)
        throw_errno("set the mode of", name);
    const std::array<timespec, 2> times{how.modified, how.modified};
    ::utimensat(AT_FDCWD, by_fd.c_str(), times.data(), 0);
}

} // namespace

tree_writer::tree_writer(const std::filesystem::path& folder)
    : root_(open_file(folder, folder_flags)), folder_(folder) {}

unique_fd tree_writer::open_beneath(const std::string& path, int flags) const {
    return unique_fd(open_in_root(root_.get(), path.empty() ? "." : path.c_str(), flags));
}

tree_writer::place tree_writer::locate(const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? std::string() : path.substr(0, slash);
    place found{.name = slash == std::string::npos ? path : path.substr(slash + 1)};
    if (cached_ && cached_path_ == parent) {
        found.parent = cached_.get();
        return found;
    }
    unique_fd folder = open_beneath(parent, folder_flags);
    if (!folder && (errno == ENOENT || errno == ENOTDIR) && !parent.empty()) {
        const int why = errno;
        const place above = locate(parent);
        // Into a folder that a link of this layer names and a lower layer has.
        if (const auto target = link_target(above, parent))
            return locate(*target + "/" + found.name);
        if (why == ENOTDIR)
            clear(above);
        if (::mkdirat(above.parent, above.name.c_str(), 0755) != 0 && errno != EEXIST)
            throw_errno("make folder", folder_ + "/" + parent);
        implicit_.insert(parent);
        folder = open_beneath(parent, folder_flags);
    }
    if (!folder)
        throw_errno("open", folder_ + "/" + parent);
    cached_ = std::move(folder);
    cached_path_ = parent;
    found.parent = cached_.get();
    return found;
}

std::optional<std::string> tree_writer::link_target(const place& at, const std::string& path) {
    std::array<char, 4096> text{};
    const ssize_t size = ::readlinkat(at.parent, at.name.c_str(), text.data(), text.size());
    if (size <= 0)
        return std::nullopt;
    // As in the kernel, which gives up there too (path_resolution(7)).
    if (++followed_ > most_links)
        throw compose::error(
            compose::error_kind::invalid, fmt::format("layer: \"{}\" has too many links on its way", path));
    const std::filesystem::path target(std::string(text.data(), static_cast<std::size_t>(size)));
    const auto slash = path.rfind('/');
    const std::filesystem::path base = slash == std::string::npos ? "/" : "/" + path.substr(0, slash);
    // The root is the folder: what leads above it ends at it.
    return (base / target).lexically_normal().relative_path().native();
}

void tree_writer::clear(const place& at) const {
    struct stat status {};
    if (::fstat(root_.get(), &status) != 0)
        throw_errno("look at", folder_);
    remove_at(at.parent, at.name, status.st_dev);
}

void tree_writer::make_folder(const std::string& path, const tree_attributes& how) {
    followed_ = 0;
    const place at = locate(path);
    if (::mkdirat(at.parent, at.name.c_str(), 0700) != 0) {
        struct stat status {};
        if (errno != EEXIST)
            throw_errno("make folder", path);
        if (::fstatat(at.parent, at.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISDIR(status.st_mode)) {
            clear(at);
            if (::mkdirat(at.parent, at.name.c_str(), 0700) != 0)
                throw_errno("make folder", path);
        }
    }
    const unique_fd folder(::openat(at.parent, at.name.c_str(), folder_flags | O_NOFOLLOW));
    if (!folder)
        throw_errno("open", path);
    apply(folder.get(), path, how);
    implicit_.erase(path);
    folder_times_[path] = how.modified;
}

unique_fd tree_writer::begin_file(const std::string& path) {
    followed_ = 0;
    const place at = locate(path);
    constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    unique_fd file(::openat(at.parent, at.name.c_str(), flags, 0600));
    if (!file && (errno == EEXIST || errno == EISDIR)) {
        clear(at);
        file = unique_fd(::openat(at.parent, at.name.c_str(), flags, 0600));
    }
    if (!file)
        throw_errno("make file", path);
    return file;
}

void tree_writer::finish_file(unique_fd file, const std::string& path, const tree_attributes& how) {
    apply(file.get(), path, how);
}

void tree_writer::make_symlink(
    const std::string& path, const std::string& target, const tree_attributes& how) {
    followed_ = 0;
    const place at = locate(path);
    if (::symlinkat(target.c_str(), at.parent, at.name.c_str()) != 0) {
        if (errno != EEXIST)
            throw_errno("make link", path);
        clear(at);
        if (::symlinkat(target.c_str(), at.parent, at.name.c_str()) != 0)
            throw_errno("make link", path);
    }
    apply_to_link(at.parent, at.name, how);
    cached_path_ = "\n"; // a link may change what the cached path means
    cached_.reset();
}

void tree_writer::make_hard_link(const std::string& path, const std::string& target) {
    const unique_fd source = open_beneath(target, O_PATH | O_NOFOLLOW);
    if (!source)
        throw compose::error(compose::error_kind::invalid,
            fmt::format("layer: \"{}\" is a link to \"{}\", which is not in the layer", path, target));
    if (!try_hard_link(path, source))
        throw_errno("make link", path);
}

bool tree_writer::try_hard_link(const std::string& path, const unique_fd& target) {
    followed_ = 0;
    const place at = locate(path);
    clear(at);
    const std::string by_fd = fmt::format("/proc/self/fd/{}", target.get());
    if (::linkat(AT_FDCWD, by_fd.c_str(), at.parent, at.name.c_str(), AT_SYMLINK_FOLLOW) == 0)
        return true;
    if (errno != EXDEV)
        throw_errno("make link", path);
    return false;
}

void tree_writer::make_node(const std::string& path, mode_t type, dev_t device, const tree_attributes& how) {
    if (!try_node(path, type, device, how))
        throw_errno("make node", path);
}

bool tree_writer::try_node(const std::string& path, mode_t type, dev_t device, const tree_attributes& how) {
    followed_ = 0;
    const place at = locate(path);
    int made = ::mknodat(at.parent, at.name.c_str(), type | 0600U, device);
    if (made != 0 && errno == EEXIST) {
        clear(at);
        made = ::mknodat(at.parent, at.name.c_str(), type | 0600U, device);
    }
    if (made != 0 && errno == EPERM)
        return false;
    if (made != 0)
        throw_errno("make node", path);
    apply_to_node(at.parent, at.name, type, how);
    return true;
}

void tree_writer::make_whiteout(const std::string& path) {
    followed_ = 0;
    const place at = locate(path);
    struct stat status {};
    if (::fstatat(at.parent, at.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
        // A whiteout is about lower layers: what this layer has under the name stays, a folder alone.
        if (S_ISDIR(status.st_mode))
            make_opaque(path);
        return;
    }
    if (::mknodat(at.parent, at.name.c_str(), S_IFCHR, ::makedev(0, 0)) != 0)
        throw_errno("make whiteout", path);
}

void tree_writer::make_opaque(const std::string& folder) {
    const unique_fd opened = open_beneath(folder, folder_flags);
    if (!opened)
        throw_errno("open", folder);
    if (::fsetxattr(opened.get(), "trusted.overlay.opaque", "y", 1, 0) != 0)
        throw_errno("make opaque", folder);
}

bool tree_writer::exists(const std::string& path) const {
    return static_cast<bool>(open_beneath(path, O_PATH | O_NOFOLLOW));
}

bool tree_writer::copy_folder_attributes(const std::string& path, const std::filesystem::path& lower) {
    const unique_fd layer = open_file(lower, folder_flags);
    const unique_fd source(open_in_root(layer.get(), path.c_str(), folder_flags | O_NOFOLLOW));
    if (!source)
        return errno != ENOENT; // a whiteout or a file there hides what is below
    struct stat status {};
    if (::fstat(source.get(), &status) != 0)
        throw_errno("look at", lower.native());
    const unique_fd folder = open_beneath(path, folder_flags);
    if (!folder)
        throw_errno("open", path);
    apply(folder.get(), path,
        {.mode = status.st_mode, .user = status.st_uid, .group = status.st_gid, .modified = status.st_mtim});
    return true;
}

void tree_writer::finish() {
    for (const auto& [path, time] : folder_times_) {
        const unique_fd folder = open_beneath(path, folder_flags);
        const std::array<timespec, 2> times{time, time};
        if (folder)
            ::futimens(folder.get(), times.data());
    }
}

bool is_portable_attribute(std::string_view name) {
    return name == "security.capability" || name.starts_with("system.posix_acl_") ||
           (name.starts_with("user.") && !name.starts_with("user.overlay."));
}

std::map<std::string, std::string> portable_attributes(const unique_fd& of, const std::string& path) {
    std::map<std::string, std::string> found;
    std::string names(XATTR_LIST_MAX, '\0');
    std::string value(XATTR_SIZE_MAX, '\0');
    const ssize_t size = ::flistxattr(of.get(), names.data(), names.size());
    if (size < 0 && errno != ENOTSUP)
        throw_errno("list the attributes of", path);
    for (ssize_t at = 0; at < size;) {
        const std::string name = &names[static_cast<std::size_t>(at)];
        at += static_cast<ssize_t>(name.size()) + 1;
        const ssize_t length = is_portable_attribute(name)
                                   ? ::fgetxattr(of.get(), name.c_str(), value.data(), value.size())
                                   : -1;
        if (length >= 0)
            found.emplace(name, value.substr(0, static_cast<std::size_t>(length)));
    }
    return found;
}

unique_fd open_inside(const std::filesystem::path& folder, const std::string& path) {
    const unique_fd root = open_file(folder, folder_flags);
    // Not to be kept waiting by a fifo.
    unique_fd file(open_in_root(root.get(), path.c_str(), O_RDONLY | O_NONBLOCK));
    if (!file)
        throw_errno("open", folder.native() + "/" + path);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0)
        throw_errno("look at", folder.native() + "/" + path);
    if (!S_ISREG(status.st_mode))
        throw compose::error(compose::error_kind::invalid,
            fmt::format("open \"{}/{}\": is no regular file", folder.native(), path));
    return file;
}

void flush_file_system(const std::filesystem::path& folder) {
    const unique_fd opened = open_file(folder, folder_flags);
    if (::syncfs(opened.get()) != 0)
        throw_errno("flush the file system of", folder.native());
}

void remove_tree(const std::filesystem::path& folder) {
    const unique_fd parent(::open(folder.parent_path().c_str(), folder_flags));
    if (!parent)
        return;
    struct stat status {};
    if (::fstatat(parent.get(), folder.filename().c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0)
        remove_at(parent.get(), folder.filename(), status.st_dev);
}

} // namespace engine
