#include "engine/system/tar_copy.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"
#include "engine/system/tar_archive.hpp"
#include "engine/system/tree_writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

/// Without links on the way.
unique_fd open_plainly(const unique_fd& folder, const std::string& path) {
    open_how how{};
    how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    return unique_fd(static_cast<int>(::syscall(SYS_openat2, folder.get(), path.c_str(), &how, sizeof(how))));
}

/// Where the entries of an archive go.
class unpacker {
  public:
    unpacker(const std::filesystem::path& root, const std::string& path, const unpack_options& how)
        : root_(open_file(root, O_RDONLY | O_DIRECTORY)), path_(path), clean_(path_in_root(path)), how_(how),
          writer_(root) {}

    left_out take(archive* from) {
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
        return std::move(skipped_);
    }

  private:
    void write(archive* from, archive_entry* entry) {
        const char* text = ::archive_entry_pathname(entry);
        const std::string name = path_in_root(text == nullptr ? "" : text);
        const mode_t type = ::archive_entry_filetype(entry);
        const std::string target = target_of(name, type == AE_IFDIR);
        if (target.empty())
            return; // the root, which is there
        const tree_attributes as = attributes_of(entry);
        if (const char* link = ::archive_entry_hardlink(entry)) {
            make_link(target, path_in_root(link), as);
        } else if (type == AE_IFDIR) {
            writer_.make_folder(target, as);
        } else if (type == AE_IFLNK) {
            const char* to = ::archive_entry_symlink(entry);
            if (to == nullptr)
                throw error(error_kind::invalid, fmt::format("copy to \"{}\": a link to nothing", target));
            writer_.make_symlink(target, to, as);
        } else if (type == AE_IFREG) {
            write_file(from, entry, target, as);
        } else if (type == AE_IFIFO) {
            writer_.make_node(target, type, 0, as);
        } else {
            write_device(entry, name, target, as);
        }
    }

    void write_file(
        archive* from, archive_entry* entry, const std::string& target, const tree_attributes& as) {
        unique_fd file = writer_.begin_file(target);
        if (::archive_read_data_into_fd(from, file.get()) != ARCHIVE_OK)
            throw error(error_kind::internal, fmt::format("copy to \"{}\": {}", target, words_of(from)));
        // A gap at the end is not written.
        if (::archive_entry_sparse_count(entry) > 0 &&
            ::ftruncate(file.get(), ::archive_entry_size(entry)) != 0)
            throw_errno("set the size of", target);
        writer_.finish_file(std::move(file), target, as);
    }

    void write_device(
        archive_entry* entry, const std::string& name, const std::string& target, const tree_attributes& as) {
        const mode_t type = ::archive_entry_filetype(entry);
        const dev_t device = ::archive_entry_rdev(entry);
        std::string why;
        if (type != AE_IFCHR && type != AE_IFBLK)
            why = "of a kind that cannot be copied";
        else if (type == AE_IFCHR && device == 0)
            why = "the device 0:0, with which overlayfs hides files";
        else if (!how_.privileges)
            why = "a device, which is copied with -a alone";
        else if (!writer_.try_node(target, type, device, as))
            why = "a device, which may not be made there";
        if (!why.empty() && name.find('/') == std::string::npos && !how_.whole)
            throw error(error_kind::invalid, fmt::format("copy \"{}\": it is {}", name, why));
        if (!why.empty())
            skipped_.add(name, why);
    }

    /// A second name of what came before in the archive. No link is followed to it: by one, the name of a
    /// file of here would become that of a file of the archive. Where it would be on another file system (a
    /// volume, a bind), it is a file of its own.
    void make_link(const std::string& target, const std::string& name, const tree_attributes& as) {
        const std::string below =
            how_.whole ? name : name.substr(std::min(name.find('/'), name.size() - 1) + 1);
        const unique_fd base = open_in_root(root_, *base_, O_PATH | O_DIRECTORY);
        const unique_fd there = base ? open_plainly(base, below) : unique_fd();
        if (!there)
            throw error(error_kind::invalid,
                fmt::format("copy to \"{}\": a link to \"{}\", which is not in the archive", target, name));
        if (writer_.try_hard_link(target, there))
            return;
        const unique_fd from = open_file(fmt::format("/proc/self/fd/{}", there.get()), O_RDONLY | O_NONBLOCK);
        unique_fd file = writer_.begin_file(target);
        copy_rest(from, file, target);
        writer_.finish_file(std::move(file), target, as);
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
        const unique_fd there = open_in_root(root_, path, O_PATH);
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
        constexpr mode_t unprivileged = 01777;
        auto extended = attributes_in(entry);
        std::erase_if(extended, [&](const auto& each) {
            return (!how_.privileges && each.first.starts_with("security.")) ||
                   (how_.first_id > 0 && each.first.starts_with("system.")); // access lists, with ids
        });
        if (const auto found = extended.find("security.capability"); found != extended.end())
            found->second = capabilities_for(found->second, how_.first_id);
        return {.mode = ::archive_entry_perm(entry) & (how_.privileges ? ~0U : unprivileged),
            .user =
                how_.first_id + (how_.owners ? static_cast<uid_t>(::archive_entry_uid(entry)) : how_.user),
            .group =
                how_.first_id + (how_.owners ? static_cast<gid_t>(::archive_entry_gid(entry)) : how_.group),
            .modified = {.tv_sec = ::archive_entry_mtime(entry),
                .tv_nsec = ::archive_entry_mtime_nsec(entry)},
            .extended = std::move(extended)};
    }

    unique_fd root_;
    std::string path_;  // as it was given
    std::string clean_; // relative to the root
    unpack_options how_;
    tree_writer writer_;
    std::optional<std::string> base_; // of the one thing
    left_out skipped_;
};

} // namespace

left_out unpack_tree(const std::filesystem::path& root, const std::string& path, const unique_fd& from,
    const unpack_options& how) {
    unpacker into(root, path, how);
    const archive_ptr archive(::archive_read_new());
    ::archive_read_support_format_tar(archive.get());
    if (::archive_read_open_fd(archive.get(), from.get(), 64U << 10U) != ARCHIVE_OK)
        throw error(error_kind::invalid, fmt::format("copy to \"{}\": not a tar archive that can be read: {}",
                                             path, words_of(archive.get())));
    return into.take(archive.get());
}

} // namespace engine
