#include "engine/system/tar_copy.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"
#include "engine/system/tar_archive.hpp"
#include "engine/system/tree_writer.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string_view>

namespace engine {

using compose::error;
using compose::error_kind;

std::string words_of(archive* handle) {
    const char* words = ::archive_error_string(handle);
    return words == nullptr ? "unknown reason" : words;
}

std::string path_in_root(const std::string& path) {
    std::string text = ("/" / std::filesystem::path(path)).lexically_normal().relative_path().native();
    while (text.ends_with('/'))
        text.pop_back();
    return text == "." ? std::string() : text;
}

unique_fd open_in_root(const unique_fd& root, const std::string& path, int flags) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const char* name = path.empty() ? "." : path.c_str();
    return unique_fd(static_cast<int>(::syscall(SYS_openat2, root.get(), name, &how, sizeof(how))));
}

void left_out::add(std::string_view path, std::string_view why) {
    constexpr std::size_t most_told = 20;
    constexpr std::size_t longest = 200;
    if (++count_ > most_told)
        return;
    std::string shown(path.substr(path.size() - std::min(path.size(), longest)));
    std::replace_if(
        shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    first_.push_back(fmt::format("{}: {}", shown, why));
}

std::vector<std::string> left_out::told() const {
    std::vector<std::string> all = first_;
    if (count_ > first_.size())
        all.push_back(fmt::format("and {} others", count_ - first_.size()));
    return all;
}

namespace {

constexpr unsigned deepest = 1000; // folders: more would use up the stack, or our descriptors
constexpr uid_t nobody = 65'534;

struct listing_closer {
    void operator()(DIR* listing) const noexcept { ::closedir(listing); }
};

/// The thing itself, opened for reading: it was looked at by a descriptor that cannot come to mean another.
unique_fd reopen(const unique_fd& looked_at, int flags, const std::string& path) {
    const std::string by_fd = fmt::format("/proc/self/fd/{}", looked_at.get());
    unique_fd opened(::open(by_fd.c_str(), flags | O_CLOEXEC | O_NONBLOCK));
    if (!opened)
        throw_errno("open", path);
    return opened;
}

struct stat look_at(const unique_fd& thing, const std::string& path) {
    struct stat status {};
    if (::fstat(thing.get(), &status) != 0)
        throw_errno("look at", path);
    return status;
}

/// What the kernel shows there is no content of the disk's: files without a size, some of which block or act
/// when they are read.
bool is_kernel_view(const unique_fd& thing) {
    constexpr std::uint32_t mqueue = 0x19800202; // not in linux/magic.h, as the two below
    constexpr std::uint32_t fusectl = 0x65735543;
    constexpr std::uint32_t configfs = 0x62656570;
    constexpr std::array<std::uint32_t, 16> kinds{PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC,
        CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC,
        SELINUX_MAGIC, BPF_FS_MAGIC, PSTOREFS_MAGIC, EFIVARFS_MAGIC, BINFMTFS_MAGIC, mqueue, fusectl,
        configfs};
    struct statfs about {};
    return ::fstatfs(thing.get(), &about) == 0 &&
           std::find(kinds.begin(), kinds.end(), static_cast<std::uint32_t>(about.f_type)) != kinds.end();
}

/// Where a file has data; the rest are gaps. Nothing for one without gaps, or with very many.
struct extent {
    off_t from = 0;
    off_t size = 0;
};
std::optional<std::vector<extent>> extents_of(const unique_fd& file, const struct stat& status) {
    constexpr std::size_t most = 10'000;
    constexpr blkcnt_t block = 512;
    if (status.st_blocks >= status.st_size / block)
        return std::nullopt;
    std::vector<extent> found;
    for (off_t at = 0; at < status.st_size && found.size() < most;) {
        const off_t from = ::lseek(file.get(), at, SEEK_DATA);
        if (from < 0 && errno == ENXIO)
            return found;
        const off_t end = from < 0 ? -1 : ::lseek(file.get(), from, SEEK_HOLE);
        if (end <= from)
            return std::nullopt; // a file system that does not tell
        at = std::min(end, status.st_size);
        if (from < at)
            found.push_back({.from = from, .size = at - from});
    }
    return found.size() < most ? std::optional(found) : std::nullopt;
}

/// Zeros that take no memory.
class zeros {
  public:
    zeros() : start_(::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
        if (start_ == MAP_FAILED)
            throw_errno("reserve", "memory");
    }
    zeros(const zeros&) = delete;
    zeros& operator=(const zeros&) = delete;
    ~zeros() { ::munmap(start_, size); }

    std::string_view first(off_t count) const {
        return {static_cast<const char*>(start_), std::min(static_cast<std::size_t>(count), size)};
    }

  private:
    static constexpr std::size_t size = 1U << 30U;
    void* start_;
};

class packer {
  public:
    /// `devices`: a folder whose content is left out.
    packer(const unique_fd& to, uid_t first_id, std::optional<struct stat> devices)
        : archive_(::archive_write_new()), links_(::archive_entry_linkresolver_new()), first_id_(first_id),
          devices_(devices) {
        ::archive_write_set_format_pax_restricted(archive_.get());
        ::archive_write_set_bytes_in_last_block(archive_.get(), 1);
        ::archive_entry_linkresolver_set_strategy(links_.get(), ::archive_format(archive_.get()));
        if (::archive_write_open_fd(archive_.get(), to.get()) != ARCHIVE_OK)
            fail("archive");
    }

    packer(const packer&) = delete;
    packer& operator=(const packer&) = delete;
    /// What is broken off must not get the end that an archive has.
    ~packer() { ::archive_write_fail(archive_.get()); }

    /// `device`: that of the folder it is in.
    void add(const unique_fd& looked_at, const std::string& path, dev_t device, unsigned depth = 0) {
        const struct stat status = look_at(looked_at, path);
        if (depth > deepest)
            throw error(error_kind::exhausted,
                fmt::format("copy \"{} …\": folders are too deep", path.substr(0, 200)));
        const bool hidden = status.st_dev != device && (is_devices(status) || is_kernel_view(looked_at));
        const entry_ptr entry = entry_of(status, path);
        if (S_ISLNK(status.st_mode)) {
            ::archive_entry_set_symlink(entry.get(), target_of(looked_at, path).c_str());
            write_header(entry, path);
        } else if (S_ISDIR(status.st_mode)) {
            const unique_fd folder = reopen(looked_at, O_RDONLY | O_DIRECTORY, path);
            add_attributes(entry, folder, path);
            write_header(entry, path);
            if (!hidden)
                add_content(folder, path, status.st_dev, depth);
        } else if (hidden) {
            skipped_.add(path, "the kernel's, not of a disk");
        } else if (S_ISREG(status.st_mode)) {
            add_file(entry, looked_at, status, path);
        } else if (S_ISSOCK(status.st_mode)) {
            skipped_.add(path, "a socket");
        } else {
            write_header(entry, path); // a pipe or a device
        }
    }

    left_out finish() {
        if (::archive_write_close(archive_.get()) != ARCHIVE_OK)
            fail("archive");
        return std::move(skipped_);
    }

  private:
    bool is_devices(const struct stat& status) const {
        return devices_ && status.st_dev == devices_->st_dev && status.st_ino == devices_->st_ino;
    }

    entry_ptr entry_of(struct stat status, const std::string& path) const {
        entry_ptr entry(::archive_entry_new());
        // Ids of the host's alone belong to nobody in there.
        status.st_uid = status.st_uid < first_id_ ? nobody : status.st_uid - first_id_;
        status.st_gid = status.st_gid < first_id_ ? nobody : status.st_gid - first_id_;
        ::archive_entry_copy_stat(entry.get(), &status);
        if (!S_ISREG(status.st_mode))
            ::archive_entry_set_size(entry.get(), 0);
        ::archive_entry_set_pathname(entry.get(), path.c_str());
        return entry;
    }

    static std::string target_of(const unique_fd& link, const std::string& path) {
        std::string target(4096, '\0');
        const ssize_t size = ::readlinkat(link.get(), "", target.data(), target.size());
        if (size < 0)
            throw_errno("read link", path);
        target.resize(static_cast<std::size_t>(size));
        return target;
    }

    void add_attributes(const entry_ptr& entry, const unique_fd& opened, const std::string& path) const {
        for (const auto& [name, value] : portable_attributes(opened, path)) {
            if (first_id_ > 0 && name.starts_with("system.")) // access lists, with ids of the host
                continue;
            const std::string plain =
                name == "security.capability" ? capabilities_without(value, first_id_) : value;
            ::archive_entry_xattr_add_entry(entry.get(), name.c_str(), plain.data(), plain.size());
        }
    }

    void add_content(const unique_fd& folder, const std::string& path, dev_t device, unsigned depth) {
        const std::unique_ptr<DIR, listing_closer> listing(
            ::fdopendir(::fcntl(folder.get(), F_DUPFD_CLOEXEC, 0)));
        if (!listing)
            throw_errno("list", path);
        while (const dirent* each = ::readdir(listing.get())) {
            const std::string name = each->d_name;
            if (name == "." || name == "..")
                continue;
            const unique_fd below(::openat(folder.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
            if (below) // else it has gone meanwhile
                add(below, std::string(path).append("/").append(name), device, depth + 1);
            else if (errno != ENOENT)
                throw_errno("look at", std::string(path).append("/").append(name));
        }
    }

    /// One that was added before under another name becomes a link to that.
    void add_file(const entry_ptr& entry, const unique_fd& looked_at, const struct stat& status,
        const std::string& path) {
        archive_entry* linked = entry.get();
        archive_entry* held_back = nullptr; // by other formats than tar
        ::archive_entry_linkify(links_.get(), &linked, &held_back);
        if (::archive_entry_hardlink(entry.get()) != nullptr) {
            write_header(entry, path);
            return;
        }
        const unique_fd file = reopen(looked_at, O_RDONLY, path);
        add_attributes(entry, file, path);
        const auto extents = extents_of(file, status);
        if (extents && extents->empty())
            ::archive_entry_sparse_add_entry(entry.get(), 0, 0);
        if (extents)
            for (const extent& each : *extents)
                ::archive_entry_sparse_add_entry(entry.get(), each.from, each.size);
        write_header(entry, path);
        off_t at = 0;
        for (const extent& each : extents.value_or(std::vector{extent{.from = 0, .size = status.st_size}})) {
            write_gap(each.from - at, path);
            at = each.from + each.size;
            if (!write_content(file, each, path))
                return;
        }
    }

    void write_header(const entry_ptr& entry, const std::string& path) {
        if (::archive_write_header(archive_.get(), entry.get()) < ARCHIVE_WARN)
            fail(path);
    }

    void write_gap(off_t size, const std::string& path) {
        while (size > 0) {
            const std::string_view part = zeros_.first(size);
            const la_ssize_t taken = ::archive_write_data(archive_.get(), part.data(), part.size());
            if (taken <= 0)
                fail(path);
            size -= static_cast<off_t>(taken);
        }
    }

    /// As much as the header says. False where the file has become shorter meanwhile: then there are zeros.
    bool write_content(const unique_fd& file, const extent& what, const std::string& path) {
        for (off_t done = 0; done < what.size;) {
            const auto most = std::min(part_.size(), static_cast<std::size_t>(what.size - done));
            const ssize_t got = ::pread(file.get(), part_.data(), most, what.from + done);
            if (got < 0)
                throw_errno("read", path);
            if (got == 0)
                return false;
            if (::archive_write_data(archive_.get(), part_.data(), static_cast<std::size_t>(got)) < 0)
                fail(path);
            done += got;
        }
        return true;
    }

    [[noreturn]] void fail(const std::string& path) {
        throw error(error_kind::internal, fmt::format("copy \"{}\": {}", path, words_of(archive_.get())));
    }

    archive_ptr archive_;
    link_resolver_ptr links_;
    uid_t first_id_;
    std::optional<struct stat> devices_;
    zeros zeros_;
    std::vector<char> part_ = std::vector<char>(64U << 10U); // not on the stack, which folders go down
    left_out skipped_;
};

/// The folder /dev where it is one of its own, not the image's; nothing when `path` leads into it.
std::optional<struct stat> devices_of(const unique_fd& root, const std::string& path) {
    struct stat status {};
    if (path == "dev" || path.starts_with("dev/") ||
        ::fstatat(root.get(), "dev", &status, AT_SYMLINK_NOFOLLOW) != 0)
        return std::nullopt;
    return status;
}

/// What is asked for by its name is copied, or it is told why not.
void check_top(const unique_fd& looked_at, const std::string& path) {
    const struct stat status = look_at(looked_at, path);
    if (is_kernel_view(looked_at))
        throw error(error_kind::invalid,
            fmt::format("copy \"{}\": the kernel shows it there, no disk has it; read it with: compose exec "
                        "SERVICE cat {}",
                path, path));
    if (S_ISSOCK(status.st_mode))
        throw error(error_kind::invalid, fmt::format("copy \"{}\": a socket cannot be copied", path));
}

} // namespace

left_out pack_tree(const std::filesystem::path& root, const std::string& path, bool follow,
    const std::string& name, const unique_fd& to, uid_t first_id) {
    const unique_fd base = open_file(root, O_RDONLY | O_DIRECTORY);
    const bool as_folder = path.ends_with('/');
    const std::string cleaned = path_in_root(path);
    const unique_fd looked_at = open_in_root(
        base, cleaned, O_PATH | (follow || as_folder ? 0 : O_NOFOLLOW) | (as_folder ? O_DIRECTORY : 0));
    if (!looked_at && (errno == ENOENT || errno == ENOTDIR))
        throw error(error_kind::not_found, fmt::format("copy \"{}\": there is no such file or folder", path));
    if (!looked_at)
        throw_errno("open", path);
    check_top(looked_at, path);
    packer archive(to, first_id, devices_of(base, cleaned));
    archive.add(looked_at, name, look_at(looked_at, path).st_dev);
    return archive.finish();
}

} // namespace engine
