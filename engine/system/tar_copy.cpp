#include "engine/system/tar_copy.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"
#include "engine/system/tree_writer.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <string_view>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

constexpr unsigned deepest = 1000; // folders: more would use up the stack, or our descriptors

struct archive_closer {
    void operator()(archive* handle) const noexcept { ::archive_free(handle); }
    void operator()(archive_entry* entry) const noexcept { ::archive_entry_free(entry); }
};
using archive_ptr = std::unique_ptr<archive, archive_closer>;
using entry_ptr = std::unique_ptr<archive_entry, archive_closer>;

struct listing_closer {
    void operator()(DIR* listing) const noexcept { ::closedir(listing); }
};

std::string words_of(archive* handle) {
    const char* words = ::archive_error_string(handle);
    return words == nullptr ? "unknown reason" : words;
}

/// "/a//b/." as "a/b"; what would lead out stays at the root.
std::string clean(const std::string& path) {
    std::string text = ("/" / std::filesystem::path(path)).lexically_normal().relative_path().native();
    while (text.ends_with('/'))
        text.pop_back();
    return text == "." ? std::string() : text;
}

unique_fd open_in(const unique_fd& root, const std::string& path, int flags) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const char* name = path.empty() ? "." : path.c_str();
    return unique_fd(static_cast<int>(::syscall(SYS_openat2, root.get(), name, &how, sizeof(how))));
}

/// The thing itself, opened for reading: it was looked at by a descriptor that cannot come to mean another.
unique_fd reopen(const unique_fd& looked_at, int flags, const std::string& path) {
    const std::string by_fd = fmt::format("/proc/self/fd/{}", looked_at.get());
    unique_fd opened(::open(by_fd.c_str(), flags | O_CLOEXEC | O_NONBLOCK));
    if (!opened)
        throw_errno("open", path);
    return opened;
}

constexpr uid_t nobody = 65'534;

class packer {
  public:
    packer(const unique_fd& to, uid_t first_id) : archive_(::archive_write_new()), first_id_(first_id) {
        ::archive_write_set_format_pax_restricted(archive_.get());
        ::archive_write_set_bytes_in_last_block(archive_.get(), 1);
        if (::archive_write_open_fd(archive_.get(), to.get()) != ARCHIVE_OK)
            fail("archive");
    }

    void add(const unique_fd& looked_at, const std::string& path, unsigned depth = 0) {
        struct stat status {};
        if (::fstat(looked_at.get(), &status) != 0)
            throw_errno("look at", path);
        if (depth > deepest)
            throw error(error_kind::exhausted, fmt::format("copy \"{}\": folders are too deep", path));
        const entry_ptr entry(::archive_entry_new());
        // Ids of the host's alone belong to nobody in there.
        status.st_uid = status.st_uid < first_id_ ? nobody : status.st_uid - first_id_;
        status.st_gid = status.st_gid < first_id_ ? nobody : status.st_gid - first_id_;
        ::archive_entry_copy_stat(entry.get(), &status);
        ::archive_entry_set_nlink(entry.get(), 1);
        ::archive_entry_set_pathname(entry.get(), path.c_str());
        if (S_ISLNK(status.st_mode)) {
            std::string target(4096, '\0');
            const ssize_t size = ::readlinkat(looked_at.get(), "", target.data(), target.size());
            if (size < 0)
                throw_errno("read link", path);
            target.resize(static_cast<std::size_t>(size));
            ::archive_entry_set_size(entry.get(), 0);
            ::archive_entry_set_symlink(entry.get(), target.c_str());
            write_header(entry, path);
        } else if (S_ISREG(status.st_mode)) {
            const unique_fd file = reopen(looked_at, O_RDONLY, path);
            write_header(entry, path);
            write_content(file, status.st_size, path);
        } else if (S_ISDIR(status.st_mode)) {
            const unique_fd folder = reopen(looked_at, O_RDONLY | O_DIRECTORY, path);
            ::archive_entry_set_size(entry.get(), 0);
            write_header(entry, path);
            add_content(folder, path, depth);
        }
    }

    void finish() {
        if (::archive_write_close(archive_.get()) != ARCHIVE_OK)
            fail("archive");
    }

  private:
    void add_content(const unique_fd& folder, const std::string& path, unsigned depth) {
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
                add(below, std::string(path).append("/").append(name), depth + 1);
        }
    }

    void write_header(const entry_ptr& entry, const std::string& path) {
        if (::archive_write_header(archive_.get(), entry.get()) < ARCHIVE_WARN)
            fail(path);
    }

    /// As much as the header says: who writes it meanwhile gets what was there, or zeros.
    void write_content(const unique_fd& file, off_t size, const std::string& path) {
        std::array<char, 64U << 10U> part{};
        for (off_t done = 0; done < size;) {
            const ssize_t got = ::read(file.get(), part.data(), part.size());
            if (got < 0)
                throw_errno("read", path);
            if (got == 0)
                break;
            if (::archive_write_data(archive_.get(), part.data(), static_cast<std::size_t>(got)) < 0)
                fail(path);
            done += got;
        }
    }

    [[noreturn]] void fail(const std::string& path) {
        throw error(error_kind::internal, fmt::format("copy \"{}\": {}", path, words_of(archive_.get())));
    }

    archive_ptr archive_;
    uid_t first_id_;
};

/// Where the entries of an archive go.
class unpacker {
  public:
    unpacker(const std::filesystem::path& root, const std::string& path, const unpack_options& how)
        : root_(open_file(root, O_RDONLY | O_DIRECTORY)), path_(path), clean_(clean(path)), how_(how),
          writer_(root) {}

    void take(archive* from) {
        archive_entry* entry = nullptr;
        for (;;) {
            const int result = ::archive_read_next_header(from, &entry);
            if (result == ARCHIVE_EOF)
                break;
            if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
                throw error(
                    error_kind::invalid, fmt::format("copy to \"{}\": not a tar archive that can be read: {}",
                                             path_, words_of(from)));
            write(from, entry);
        }
        writer_.finish();
    }

  private:
    void write(archive* from, archive_entry* entry) {
        const char* text = ::archive_entry_pathname(entry);
        const std::string name = clean(text == nullptr ? "" : text);
        const mode_t type = ::archive_entry_filetype(entry);
        const std::string target = target_of(name, type == AE_IFDIR);
        if (target.empty())
            return; // the root, which is there
        const tree_attributes as = attributes_of(entry);
        if (const char* link = ::archive_entry_hardlink(entry)) {
            writer_.make_hard_link(target, target_of(clean(link), false));
        } else if (type == AE_IFDIR) {
            writer_.make_folder(target, as);
        } else if (type == AE_IFLNK) {
            const char* to = ::archive_entry_symlink(entry);
            if (to == nullptr)
                throw error(error_kind::invalid, fmt::format("copy to \"{}\": a link to nothing", target));
            writer_.make_symlink(target, to, as);
        } else if (type == AE_IFREG) {
            unique_fd file = writer_.begin_file(target);
            if (::archive_read_data_into_fd(from, file.get()) != ARCHIVE_OK)
                throw error(error_kind::internal, fmt::format("copy to \"{}\": {}", target, words_of(from)));
            writer_.finish_file(std::move(file), target, as);
        }
    }

    std::string target_of(const std::string& name, bool is_folder) {
        if (how_.whole) {
            if (!base_)
                base_ = existing_folder();
            return name.empty() ? name : join(*base_, name);
        }
        const auto slash = name.find('/');
        if (!base_)
            base_ = base_of(name.substr(0, slash), is_folder || slash != std::string::npos);
        return slash == std::string::npos ? *base_ : join(*base_, name.substr(slash + 1));
    }

    static std::string join(const std::string& folder, const std::string& name) {
        return folder.empty() ? name : folder + "/" + name;
    }

    /// What is at the path, links followed; nothing when there is nothing.
    std::optional<mode_t> type_of(const std::string& path) const {
        const unique_fd there = open_in(root_, path, O_PATH);
        struct stat status {};
        if (!there || ::fstat(there.get(), &status) != 0)
            return std::nullopt;
        return status.st_mode & S_IFMT;
    }

    std::string existing_folder() const {
        if (type_of(clean_) != S_IFDIR)
            throw error(error_kind::not_found, fmt::format("copy to \"{}\": there is no such folder", path_));
        return clean_;
    }

    std::string base_of(const std::string& top, bool is_folder) const {
        const auto there = type_of(clean_);
        if (there == S_IFDIR)
            return how_.contents && is_folder ? clean_ : join(clean_, top);
        if (there && is_folder)
            throw error(error_kind::invalid,
                fmt::format("copy to \"{}\": a folder cannot take a file's place", path_));
        const std::string parent =
            clean_.find('/') == std::string::npos ? "" : clean_.substr(0, clean_.rfind('/'));
        if (type_of(parent) != S_IFDIR || (!there && path_.ends_with('/') && !is_folder))
            throw error(error_kind::not_found, fmt::format("copy to \"{}\": there is no such folder", path_));
        return clean_;
    }

    tree_attributes attributes_of(archive_entry* entry) const {
        return {.mode = ::archive_entry_perm(entry),
            .user =
                how_.first_id + (how_.owners ? static_cast<uid_t>(::archive_entry_uid(entry)) : how_.user),
            .group =
                how_.first_id + (how_.owners ? static_cast<gid_t>(::archive_entry_gid(entry)) : how_.group),
            .modified = {
                .tv_sec = ::archive_entry_mtime(entry), .tv_nsec = ::archive_entry_mtime_nsec(entry)}};
    }

    unique_fd root_;
    std::string path_;  // as it was given
    std::string clean_; // relative to the root
    unpack_options how_;
    tree_writer writer_;
    std::optional<std::string> base_; // of the one thing
};

} // namespace

void pack_tree(const std::filesystem::path& root, const std::string& path, bool follow,
    const std::string& name, const unique_fd& to, uid_t first_id) {
    const unique_fd base = open_file(root, O_RDONLY | O_DIRECTORY);
    const bool as_folder = path.ends_with('/');
    const unique_fd looked_at = open_in(
        base, clean(path), O_PATH | (follow || as_folder ? 0 : O_NOFOLLOW) | (as_folder ? O_DIRECTORY : 0));
    if (!looked_at && (errno == ENOENT || errno == ENOTDIR))
        throw error(error_kind::not_found, fmt::format("copy \"{}\": there is no such file or folder", path));
    if (!looked_at)
        throw_errno("open", path);
    packer archive(to, first_id);
    archive.add(looked_at, name);
    archive.finish();
}

void unpack_tree(const std::filesystem::path& root, const std::string& path, const unique_fd& from,
    const unpack_options& how) {
    unpacker into(root, path, how);
    const archive_ptr archive(::archive_read_new());
    ::archive_read_support_format_tar(archive.get());
    if (::archive_read_open_fd(archive.get(), from.get(), 64U << 10U) != ARCHIVE_OK)
        throw error(error_kind::invalid, fmt::format("copy to \"{}\": not a tar archive that can be read: {}",
                                             path, words_of(archive.get())));
    into.take(archive.get());
}

} // namespace engine
