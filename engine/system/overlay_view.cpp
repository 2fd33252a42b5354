#include "engine/system/overlay_view.hpp"

#include "engine/system/file.hpp"
#include "engine/system/joined_thread.hpp"
#include "engine/system/tree_writer.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <map>
#include <memory>
#include <utility>

namespace engine {

namespace {

constexpr int folder_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

/// With an empty `upper` read-only.
void mount_layers(const std::vector<std::filesystem::path>& layers, const std::string& target,
    const std::filesystem::path& upper = {}, const std::filesystem::path& work = {}) {
    if (::mount("tmpfs", target.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") != 0)
        throw_errno("mount tmpfs at", target);
    const std::string merged = target + "/merged";
    const std::string empty = target + "/empty";
    if (::mkdir(merged.c_str(), 0755) != 0 || ::mkdir(empty.c_str(), 0755) != 0)
        throw_errno("make folder", merged);
    // A read-only overlay needs two lower layers at least. mount(2) takes one page of options, which names of
    // 64 digits would fill with sixty layers: links with short names lead to them.
    std::string lower = "lowerdir=";
    for (std::size_t index = 0; index < layers.size(); ++index) {
        const std::string name = std::to_string(index);
        if (::symlink(std::filesystem::absolute(layers[index]).c_str(),
                fmt::format("{}/{}", target, name).c_str()) != 0)
            throw_errno("make link to", layers[index].native());
        lower += name + ":";
    }
    lower += "empty";
    if (!upper.empty()) {
        for (const auto& [name, folder] : {std::pair("upper", upper), std::pair("work", work)})
            if (::symlink(std::filesystem::absolute(folder).c_str(),
                    fmt::format("{}/{}", target, name).c_str()) != 0)
                throw_errno("make link to", folder.native());
        lower = "index=off," + lower + ",upperdir=upper,workdir=work";
    }
    if (::chdir(target.c_str()) != 0)
        throw_errno("change into", target);
    unsigned long flags = MS_NOSUID | MS_NODEV;
    if (upper.empty())
        flags |= MS_RDONLY;
    if (::mount("overlay", merged.c_str(), "overlay", flags, lower.c_str()) != 0)
        throw_errno("mount layers at", merged);
}

struct listing_closer {
    void operator()(DIR* listing) const noexcept { ::closedir(listing); }
};

tree_attributes attributes_of(const struct stat& status) {
    return {.mode = status.st_mode & 07777U,
        .user = status.st_uid,
        .group = status.st_gid,
        .modified = status.st_mtim};
}

/// Where a copy goes, and the first path of each file that has more names than one.
struct copy_target {
    tree_writer to;
    std::map<std::pair<dev_t, ino_t>, std::string> names;
};

void copy_entry(copy_target& into, int folder, const std::string& name, const std::string& path);

void copy_content(copy_target& into, int folder, const std::string& path) {
    const std::unique_ptr<DIR, listing_closer> listing(::fdopendir(::fcntl(folder, F_DUPFD_CLOEXEC, 0)));
    if (!listing)
        throw_errno("list", path);
    while (const dirent* entry = ::readdir(listing.get())) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..")
            copy_entry(into, folder, name, path.empty() ? name : fmt::format("{}/{}", path, name));
    }
}

void copy_entry(copy_target& into, int folder, const std::string& name, const std::string& path) {
    tree_writer& to = into.to;
    struct stat status {};
    if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
        throw_errno("look at", path);
    if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
        const auto [first, fresh] = into.names.emplace(std::pair(status.st_dev, status.st_ino), path);
        if (!fresh) {
            to.make_hard_link(path, first->second);
            return;
        }
    }
    tree_attributes how = attributes_of(status);
    if (S_ISLNK(status.st_mode)) {
        std::string target(4096, '\0');
        const ssize_t size = ::readlinkat(folder, name.c_str(), target.data(), target.size());
        if (size < 0)
            throw_errno("read link", path);
        target.resize(static_cast<std::size_t>(size));
        to.make_symlink(path, target, how);
        return;
    }
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
        to.make_node(path, status.st_mode & S_IFMT, status.st_rdev, how);
        return;
    }
    const bool is_folder = S_ISDIR(status.st_mode);
    const unique_fd from(
        ::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (is_folder ? O_DIRECTORY : 0)));
    if (!from)
        throw_errno("open", path);
    how.extended = portable_attributes(from, path);
    if (is_folder) {
        to.make_folder(path, how);
        copy_content(into, from.get(), path);
        return;
    }
    unique_fd file = to.begin_file(path);
    copy_rest(from, file, path);
    to.finish_file(std::move(file), path, how);
}

} // namespace

namespace {

/// On a thread with a mount namespace of its own, which `work` ends with.
void in_own_mounts(const std::function<void()>& work) {
    on_joined_thread([&] {
        // Also takes the working directory away from the process's, which chdir() below would move.
        if (::unshare(CLONE_NEWNS) != 0)
            throw_errno("make", "mount namespace");
        if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
            throw_errno("detach mounts of", "/");
        work();
    });
}

void add_mount(const unique_fd& root, const tree_parts::mount& what) {
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const unique_fd at(
        static_cast<int>(::syscall(SYS_openat2, root.get(), what.target.c_str(), &how, sizeof(how))));
    std::error_code none;
    if (!at || !std::filesystem::exists(what.source, none))
        return;
    const std::string target = fmt::format("/proc/self/fd/{}", at.get());
    if (::mount(what.source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0)
        throw_errno("mount", what.source.native());
    if (!what.read_only)
        return;
    const unique_fd mounted(
        static_cast<int>(::syscall(SYS_openat2, root.get(), what.target.c_str(), &how, sizeof(how))));
    const std::string there = fmt::format("/proc/self/fd/{}", mounted.get());
    if (::mount(nullptr, there.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)
        throw_errno("mount read-only", what.source.native());
}

} // namespace

void in_overlay_view(const std::vector<std::filesystem::path>& layers,
    const std::function<void(const std::filesystem::path& root)>& work) {
    in_own_mounts([&] {
        const std::string target = "/mnt";
        mount_layers(layers, target);
        work(target + "/merged");
    });
}

void in_tree_view(
    const tree_parts& parts, const std::function<void(const std::filesystem::path& root)>& work) {
    std::filesystem::create_directories(parts.upper);
    std::filesystem::create_directories(parts.work);
    in_own_mounts([&] {
        const std::string target = "/mnt";
        mount_layers(parts.layers, target, parts.upper, parts.work);
        const unique_fd root = open_file(target + "/merged", folder_flags);
        for (const tree_parts::mount& each : parts.mounts)
            add_mount(root, each);
        work(target + "/merged");
    });
}

void copy_tree_inside(
    const std::filesystem::path& root, const std::string& path, const std::filesystem::path& into) {
    const unique_fd base = open_file(root, folder_flags);
    open_how how{};
    how.flags = folder_flags;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const unique_fd from(
        static_cast<int>(::syscall(SYS_openat2, base.get(), path.c_str(), &how, sizeof(how))));
    if (!from)
        return;
    copy_target target{.to = tree_writer(into), .names = {}};
    copy_content(target, from.get(), {});
    target.to.finish();
    struct stat status {};
    if (::fstat(from.get(), &status) != 0)
        throw_errno("look at", path);
    if (::chown(into.c_str(), status.st_uid, status.st_gid) != 0 ||
        ::chmod(into.c_str(), status.st_mode & 07777U) != 0)
        throw_errno("set owner and mode of", into.native());
}

} // namespace engine
